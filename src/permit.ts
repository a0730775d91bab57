// The orchestrator's leave for one transfer, as the public face shows it: terms to read, a number that nobody can read.

import type { Path } from './paths.js'

const numbers = new WeakMap<Permit, number>()

export class Permit {
  readonly path: Path
  readonly maxBytes: number
  /** Orchestrator's clock, microseconds. */
  readonly expiresUs: number

  /** @internal Permits are made by `policy.decide()`; one made otherwise has no number and is refused natively. */
  constructor(path: Path, maxBytes: number, expiresUs: number) {
    this.path = path
    this.maxBytes = maxBytes
    this.expiresUs = expiresUs
  }
}

/** @internal */
export function sealPermit(permit: Permit, number: number): Permit {
  numbers.set(permit, number)
  return permit
}

const claimed = new WeakSet<Permit>()

/** @internal True once: whoever claims a permit posts with it or revokes it, and gives its lease back. */
export function claimPermit(permit: Permit): boolean {
  if (!numbers.has(permit) || claimed.has(permit)) return false
  claimed.add(permit)
  return true
}

/** @internal 0, which the addon refuses, for a permit that the orchestrator did not make. */
export function permitNumber(permit: Permit): number {
  return numbers.get(permit) ?? 0
}
