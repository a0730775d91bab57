// Live leases by id and by expiry (binary heap), so that a tick costs O(expired x log live), never a scan. A lease ends
// once: given back by its holder or expired by the clock; ids are never used again.

import type { Lease } from './lease.js'

export class LeaseBook {
  readonly #live = new Map<number, Lease>()
  readonly #heap: Lease[] = []
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
    lease.heapIndex = this.#heap.length
    this.#heap.push(lease)
    this.#up(lease)
  }

  /** When the next lease ends by the clock; Infinity without one. */
  firstExpiryUs(): number {
    return this.#heap[0]?.expiresUs ?? Number.POSITIVE_INFINITY
  }

  /** The lease that ends first, if it has ended by `nowUs`. */
  expired(nowUs: number): Lease | undefined {
    const first = this.#heap[0]
    return first !== undefined && first.expiresUs <= nowUs ? first : undefined
  }

  remove(lease: Lease): void {
    this.#live.delete(lease.id)
    const last = this.#heap.pop()!
    if (last === lease) return
    last.heapIndex = lease.heapIndex
    this.#heap[last.heapIndex] = last
    this.#up(last)
    this.#down(last)
  }

  #up(lease: Lease): void {
    const heap = this.#heap
    let index = lease.heapIndex
    while (index > 0) {
      const parentIndex = (index - 1) >> 1
      const parent = heap[parentIndex]!
      if (!endsBefore(lease, parent)) break
      heap[index] = parent
      parent.heapIndex = index
      index = parentIndex
    }
    heap[index] = lease
    lease.heapIndex = index
  }

  #down(lease: Lease): void {
    const heap = this.#heap
    let index = lease.heapIndex
    for (;;) {
      const left = heap[2 * index + 1]
      if (left === undefined) break
      const right = heap[2 * index + 2]
      const child = right !== undefined && endsBefore(right, left) ? right : left
      if (!endsBefore(child, lease)) break
      const childIndex = child.heapIndex
      heap[index] = child
      child.heapIndex = index
      index = childIndex
    }
    heap[index] = lease
    lease.heapIndex = index
  }
}

/** Ids break ties, so that a replay expires in the same order. */
function endsBefore(a: Lease, b: Lease): boolean {
  return a.expiresUs < b.expiresUs || (a.expiresUs === b.expiresUs && a.id < b.id)
}
