// Sessions of paths, each held under a lease that ends once: released by its holder or expired by the clock.
// Live leases sit in a binary heap by expiry, so a tick costs O(expired * log live), never a scan; active sessions of a
// path are exactly its live leases, which is why a double or an anonymous release cannot under-count them.

interface Lease {
  readonly id: number
  readonly path: number
  readonly expiresUs: number
  heapIndex: number
}

const NONE: readonly number[] = Object.freeze([])

export class LeaseBook {
  /** Live leases by path index. Read it freely; only this class writes it. */
  readonly active: number[] = []
  readonly #live = new Map<number, Lease>()
  readonly #heap: Lease[] = []
  #lastId = 0

  addPath(): void {
    this.active.push(0)
  }

  /** Takes one session of `path` and returns the lease's id, which is never 0 and never used again. */
  take(path: number, expiresUs: number): number {
    const lease: Lease = { id: ++this.#lastId, path, expiresUs, heapIndex: this.#heap.length }
    this.#live.set(lease.id, lease)
    this.#heap.push(lease)
    this.#siftUp(lease)
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
    for (let first = this.#heap[0]; first !== undefined && first.expiresUs <= nowUs; first = this.#heap[0]) {
      this.#end(first)
      if (expired === null) expired = [first.id]
      else expired.push(first.id)
    }
    return expired ?? NONE
  }

  /** When the next lease ends by the clock; Infinity without one. */
  firstExpiryUs(): number {
    return this.#heap[0]?.expiresUs ?? Number.POSITIVE_INFINITY
  }

  #end(lease: Lease): void {
    this.#live.delete(lease.id)
    this.active[lease.path]!--
    const last = this.#heap.pop()!
    if (last === lease) return
    last.heapIndex = lease.heapIndex
    this.#heap[last.heapIndex] = last
    this.#siftUp(last)
    this.#siftDown(last)
  }

  #siftUp(lease: Lease): void {
    const heap = this.#heap
    let index = lease.heapIndex
    while (index > 0) {
      const parent = heap[(index - 1) >> 1]!
      if (!endsBefore(lease, parent)) break
      heap[index] = parent
      const parentIndex = parent.heapIndex
      parent.heapIndex = index
      index = parentIndex
    }
    heap[index] = lease
    lease.heapIndex = index
  }

  #siftDown(lease: Lease): void {
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
