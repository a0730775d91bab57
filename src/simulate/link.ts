// One path's wire in virtual time: shares its rate equally among the heads of its queues, and serves each queue in order.
//
//   one queue                  first in, first out
//   a queue for each transfer  fair sharing (processor sharing)
//   a few queues               mixed: in order inside a queue pair, fair across them
//
// Served bytes of every head grow alike, so one figure V ("bytes that a head has been served since the beginning") describes
// all: a head that became one at V0 with B bytes is done when V = V0 + B. V grows by rate / heads per microsecond.

export type Discipline = 'fifo' | 'fair' | 'mixed'

export const DISCIPLINES: readonly Discipline[] = ['fifo', 'fair', 'mixed']

/** Queue pairs of a path under `mixed`. */
const MIXED_QUEUES = 4

/** Events fall on whole microseconds and V is a sum of roundings; a byte short is done. */
const ROUNDING_BYTES = 1

export interface Carried {
  /** Bytes the wire has to move for it. */
  readonly bytes: number
}

interface Head<T> {
  readonly item: T
  readonly queue: number
  /** V at which it is done. */
  readonly doneAt: number
}

export class Link<T extends Carried> {
  readonly #queues: T[][]
  readonly #fair: boolean
  readonly #heads: Head<T>[] = []
  #queued = 0
  #virtualBytes = 0
  #updatedUs = 0
  #bytesPerUs: number
  #nextQueue = 0
  #busyUs = 0
  /** Counts changes of what comes next; an event that carries an older number is void. */
  version = 0

  constructor(discipline: Discipline, bytesPerUs: number) {
    this.#fair = discipline === 'fair'
    this.#queues = Array.from({ length: discipline === 'mixed' ? MIXED_QUEUES : 1 }, () => [])
    this.#bytesPerUs = bytesPerUs
  }

  /** Transfers on the wire or waiting for it. */
  get carried(): number {
    return this.#heads.length + this.#queued
  }

  /** Time with at least one head, microseconds. */
  get busyUs(): number {
    return this.#busyUs
  }

  /** @param nowUs never less than at the call before, here and below */
  setRate(bytesPerUs: number, nowUs: number): void {
    this.#advance(nowUs)
    this.#bytesPerUs = bytesPerUs
    this.version++
  }

  add(item: T, nowUs: number): void {
    this.#advance(nowUs)
    const queue = this.#nextQueue
    this.#nextQueue = (queue + 1) % this.#queues.length
    if (!this.#fair && this.#heads.some((head) => head.queue === queue)) {
      this.#queues[queue]!.push(item)
      this.#queued++
      return
    }
    this.#promote(item, queue, this.#virtualBytes)
    this.version++
  }

  /** Takes out one that gave up. Returns the bytes it had been served; 0 when it is not here. */
  remove(item: T, nowUs: number): number {
    this.#advance(nowUs)
    const i = this.#heads.findIndex((head) => head.item === item)
    if (i >= 0) {
      const head = this.#heads[i]!
      this.#retire(i, this.#virtualBytes)
      return Math.max(0, item.bytes - (head.doneAt - this.#virtualBytes))
    }
    for (const queue of this.#queues) {
      const place = queue.indexOf(item)
      if (place < 0) continue
      queue.splice(place, 1)
      this.#queued--
    }
    return 0
  }

  /** Takes everything out, in the order of service; the path has gone down. */
  clear(nowUs: number): T[] {
    this.#advance(nowUs)
    const all = [...this.#heads.map((head) => head.item), ...this.#queues.flat()]
    this.#heads.length = 0
    for (const queue of this.#queues) queue.length = 0
    this.#queued = 0
    this.version++
    return all
  }

  /** When the next head is done if nothing changes; Infinity when idle or stopped. Whole microseconds, never early. */
  nextUs(): number {
    if (this.#heads.length === 0 || this.#bytesPerUs === 0) return Number.POSITIVE_INFINITY
    const bytes = Math.max(0, this.#firstDoneAt() - this.#virtualBytes)
    return Math.ceil(this.#updatedUs + (bytes * this.#heads.length) / this.#bytesPerUs)
  }

  /** Those that are done at `nowUs`, in the order of service. */
  finish(nowUs: number): T[] {
    this.#advance(nowUs)
    const done: T[] = []
    for (let i = 0; i < this.#heads.length; ) {
      const head = this.#heads[i]!
      if (head.doneAt > this.#virtualBytes + ROUNDING_BYTES) {
        i++
        continue
      }
      done.push(head.item)
      // Its follower began when it was done, a fraction of a microsecond ago.
      this.#retire(i, head.doneAt)
    }
    return done
  }

  #promote(item: T, queue: number, beganAt: number): void {
    this.#heads.push({ item, queue, doneAt: beganAt + item.bytes })
  }

  #retire(i: number, freedAt: number): void {
    const { queue } = this.#heads[i]!
    this.#heads.splice(i, 1)
    const next = this.#queues[queue]!.shift()
    if (next !== undefined) {
      this.#queued--
      this.#promote(next, queue, freedAt)
    }
    this.version++
  }

  #firstDoneAt(): number {
    let first = Number.POSITIVE_INFINITY
    for (const head of this.#heads) if (head.doneAt < first) first = head.doneAt
    return first
  }

  #advance(nowUs: number): void {
    const passedUs = nowUs - this.#updatedUs
    this.#updatedUs = nowUs
    if (passedUs === 0 || this.#heads.length === 0) return
    this.#busyUs += passedUs
    this.#virtualBytes += (passedUs * this.#bytesPerUs) / this.#heads.length
  }
}
