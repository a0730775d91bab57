// What armed rules do to giving sessions back: one that is dropped stays taken until its lease expires.

import type { Faults } from './faults.js'

interface Held {
  readonly path: string
  readonly workload: string
  readonly bytes: number
}

/** `after`: milliseconds until it really comes back. */
export type ReleaseFate = { readonly kind: 'lost' | 'refused' } | { readonly kind: 'later'; readonly afterMs: number }

export class FaultedReleases {
  readonly #faults: Faults
  readonly #held = new Map<number, Held>()

  constructor(faults: Faults) {
    this.#faults = faults
  }

  /** Remembers who a lease belongs to; only leases that were taken while faults are armed can meet them. */
  taken(lease: number, held: Held): void {
    if (this.#faults.armed) this.#held.set(lease, held)
  }

  expired(leases: readonly number[]): void {
    if (this.#held.size > 0) for (const lease of leases) this.#held.delete(lease)
  }

  /** Undefined: it comes back now, as ever. */
  fateOf(lease: number): ReleaseFate | undefined {
    const held = this.#held.get(lease)
    if (held === undefined) return undefined
    this.#held.delete(lease)
    if (!this.#faults.armed) return undefined
    const check = this.#faults.check('release', held.path, { workload: held.workload, bytes: held.bytes })
    if (check === null) return undefined
    if (check.blockMs > 0) this.#faults.collect()
    if (check.outcome === 'error') return { kind: 'refused' }
    if (check.outcome === 'drop' || check.outcome === 'lose') return { kind: 'lost' }
    const afterMs = check.delayMs + check.lateMs
    return afterMs > 0 ? { kind: 'later', afterMs } : undefined
  }
}
