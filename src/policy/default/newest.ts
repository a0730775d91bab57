// The median of the newest nine slowdowns: predictions follow it within a few transfers, states follow the window.

import { ONE } from './fixed-point.js'

const KEPT = 9

/** Written and read within one call of median(). */
const order = new Uint32Array(KEPT)

export class Newest {
  readonly #ring = new Uint32Array(KEPT)
  #count = 0
  #next = 0
  #median = ONE
  #stale = false

  get count(): number {
    return this.#count
  }

  add(slowdown: number): void {
    this.#ring[this.#next] = slowdown
    this.#next = (this.#next + 1) % KEPT
    if (this.#count < KEPT) this.#count++
    this.#stale = true
  }

  clear(): void {
    this.#count = 0
    this.#next = 0
    this.#median = ONE
    this.#stale = false
  }

  /** In 1/1024; the lower one of two middles. */
  median(): number {
    if (!this.#stale) return this.#median
    for (let i = 0; i < this.#count; i++) {
      const value = this.#ring[i]!
      let at = i
      for (; at > 0 && order[at - 1]! > value; at--) order[at] = order[at - 1]!
      order[at] = value
    }
    this.#median = order[(this.#count - 1) >> 1]!
    this.#stale = false
    return this.#median
  }
}
