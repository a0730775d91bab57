// Sessions of paths, each held under a lease that ends once: released by its holder or expired by the clock.
// Active sessions of a path are exactly its live leases, which is why a double or an anonymous release cannot under-count them.

import { type Expiring, ExpiryHeap } from '../expiry-heap.js'

interface Lease extends Expiring {
  readonly path: number
}

const NONE: readonly number[] = Object.freeze([])

export class LeaseBook {
  /** Live leases by path index. Read it freely; only this class writes it. */
  readonly active: number[] = []
  readonly #live = new Map<number, Lease>()
  readonly #heap = new ExpiryHeap<Lease>()
  #lastId = 0

  addPath(): void {
    this.active.push(0)
  }

  /** Takes one session of `path` and returns the lease's id, which is never 0 and never used again. */
  take(path: number, expiresUs: number): number {
    const lease: Lease = { id: ++this.#lastId, path, expiresUs, heapIndex: -1 }
    this.#live.set(lease.id, lease)
    this.#heap.add(lease)
    this.active[path]!++
    return lease.id
  }

  /** False when the lease is unknown or has already ended. */
  release(id: number): boolean {
    const lease = this.#live.get(id)
    if (lease === undefined) return false
    this.#end(lease)
    return true
  }

  /** Ends every lease with `expiresUs <= nowUs`; returns their ids, earliest first. */
  expire(nowUs: number): readonly number[] {
    let expired: number[] | null = null
    for (let first = this.#heap.first(); first !== undefined && first.expiresUs <= nowUs; first = this.#heap.first()) {
      this.#end(first)
      if (expired === null) expired = [first.id]
      else expired.push(first.id)
    }
    return expired ?? NONE
  }

  /** When the next lease ends by the clock; Infinity without one. */
  firstExpiryUs(): number {
    return this.#heap.first()?.expiresUs ?? Number.POSITIVE_INFINITY
  }

  #end(lease: Lease): void {
    this.#live.delete(lease.id)
    this.active[lease.path]!--
    this.#heap.remove(lease)
  }
}
