// A pool's sessions, and what its classes have set aside. A class is held back exactly so much that every other class could
// still take what it may not lend:
//   sessions free - sum over the other classes of max(0, guaranteed - used) >= 1
//   guaranteed = floor(share x sessions x (1 - lendable)); lendable is the idle one after `demandMemoryMs` without a request

import type { Reservation } from '../workload.js'
import type { PathRecord } from './path.js'

/** A class that has sessions set aside, in every pool alike. */
export interface Share {
  readonly index: number
  readonly name: string
  readonly reservation: Reservation
}

export class Pool {
  readonly name: string
  readonly paths: PathRecord[] = []
  sessions = 0
  used = 0
  readonly #usedBy: number[] = []
  readonly #askedUs: number[] = []

  constructor(name: string) {
    this.name = name
  }

  take(share: number): void {
    this.used++
    this.#usedBy[share] = (this.#usedBy[share] ?? 0) + 1
  }

  give(share: number): void {
    this.used--
    this.#usedBy[share]!--
  }

  asked(share: number, nowUs: number): void {
    this.#askedUs[share] = nowUs
  }

  /** Sessions the class may still take. */
  open(share: number, shares: readonly Share[], nowUs: number, memoryUs: number): number {
    let open = this.sessions - this.used
    for (let i = 0; i < shares.length; i++) {
      if (i === share) continue
      const kept = this.guaranteed(shares[i]!, nowUs, memoryUs) - (this.#usedBy[i] ?? 0)
      if (kept > 0) open -= kept
    }
    return open
  }

  guaranteed({ index, reservation }: Share, nowUs: number, memoryUs: number): number {
    const askedUs = this.#askedUs[index]
    const busy = askedUs !== undefined && nowUs - askedUs <= memoryUs
    const lendable = busy ? reservation.lendableBusy : reservation.lendableIdle
    return Math.floor(reservation.share * this.sessions * (1 - lendable))
  }
}
