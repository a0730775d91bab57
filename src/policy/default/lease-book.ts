// Live leases by id and by expiry. A lease ends once: given back by its holder or expired by the clock; ids are never used
// again.

import { ExpiryHeap } from '../expiry-heap.js'
import type { Lease } from './lease.js'

export class LeaseBook {
  readonly #live = new Map<number, Lease>()
  readonly #heap = new ExpiryHeap<Lease>()
  #lastId = 0

  get live(): number {
    return this.#live.size
  }

  nextId(): number {
    this.#lastId++
    return this.#lastId
  }

  get(id: number): Lease | undefined {
    return this.#live.get(id)
  }

  add(lease: Lease): void {
    this.#live.set(lease.id, lease)
    this.#heap.add(lease)
  }

  /** When the next lease ends by the clock; Infinity without one. */
  firstExpiryUs(): number {
    return this.#heap.first()?.expiresUs ?? Number.POSITIVE_INFINITY
  }

  /** The lease that ends first, if it has ended by `nowUs`. */
  expired(nowUs: number): Lease | undefined {
    const first = this.#heap.first()
    return first !== undefined && first.expiresUs <= nowUs ? first : undefined
  }

  remove(lease: Lease): void {
    this.#live.delete(lease.id)
    this.#heap.remove(lease)
  }
}
