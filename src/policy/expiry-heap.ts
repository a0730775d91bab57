// Leases by their expiry, earliest first, so that a tick costs by what expires and never a scan. A lease knows its own place, so
// one that is given back leaves in logarithmic time too.

export interface Expiring {
  readonly id: number
  readonly expiresUs: number
  /** Place in the heap; written by it alone. */
  heapIndex: number
}

export class ExpiryHeap<Lease extends Expiring> {
  readonly #heap: Lease[] = []

  first(): Lease | undefined {
    return this.#heap[0]
  }

  add(lease: Lease): void {
    lease.heapIndex = this.#heap.length
    this.#heap.push(lease)
    this.#up(lease)
  }

  /** It must be in the heap. */
  remove(lease: Lease): void {
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
function endsBefore(a: Expiring, b: Expiring): boolean {
  return a.expiresUs < b.expiresUs || (a.expiresUs === b.expiresUs && a.id < b.id)
}
