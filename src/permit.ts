// The orchestrator's leave for one transfer, as the public face shows it: terms to read, a number that nobody can read.

import type { Path } from './paths.js'

let write: (permit: Permit, number: number) => void
let read: (permit: Permit) => number

export class Permit {
  readonly path: Path
  readonly maxBytes: number
  /** Orchestrator's clock, microseconds. */
  readonly expiresUs: number
  // Private to the language: not in `Object.keys`, not in JSON, not behind a cast. Only the two functions below reach it.
  #number = 0

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
  }
}

/** @internal */
export function sealPermit(permit: Permit, number: number): Permit {
  write(permit, number)
  return permit
}

/** @internal 0, which the addon refuses, for a permit that the orchestrator did not make. */
export function permitNumber(permit: Permit): number {
  return read(permit)
}
