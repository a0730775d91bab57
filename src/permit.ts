// The orchestrator's leave for one transfer, as the public face shows it: terms to read, a number that nobody can read.

import type { Path } from './paths.js'

let write: (permit: Permit, number: number) => void
let read: (permit: Permit) => number
let claim: (permit: Permit) => boolean

export class Permit {
  readonly path: Path
  readonly maxBytes: number
  /** Orchestrator's clock, microseconds. */
  readonly expiresUs: number
  // Private to the language: not in `Object.keys`, not in JSON, not behind a cast. Only the functions below reach it.
  #number = 0
  #claimed = false

  /** @internal Permits are made by `policy.decide()`; one made otherwise has no number and is refused natively. */
  constructor(path: Path, maxBytes: number, expiresUs: number) {
    this.path = path
    this.maxBytes = maxBytes
    this.expiresUs = expiresUs
  }

  static {
    write = (permit, number) => {
      permit.#number = number
    }
    // From outside may come anything.
    read = (permit) => (typeof permit === 'object' && permit !== null && #number in permit ? permit.#number : 0)
    claim = (permit) => {
      if (read(permit) === 0 || permit.#claimed) return false
      permit.#claimed = true
      return true
    }
  }
}

/** @internal */
export function sealPermit(permit: Permit, number: number): Permit {
  write(permit, number)
  return permit
}

/** @internal True once: whoever claims a permit posts with it or revokes it, and gives its lease back. */
export function claimPermit(permit: Permit): boolean {
  return claim(permit)
}

/** @internal 0, which the addon refuses, for a permit that the orchestrator did not make. */
export function permitNumber(permit: Permit): number {
  return read(permit)
}
