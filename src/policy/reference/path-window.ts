// The last samples of one path, oldest overwritten first, and the figures the rules read from them. Samples never age:
// only newer samples push them out.

import { mean, percentile99, standardDeviation } from './statistics.js'

export class PathWindow {
  readonly #latencyMs: Float64Array
  readonly #dropFraction: Float64Array
  readonly #sorted: Float64Array
  #count = 0
  #next = 0

  constructor(capacity: number) {
    this.#latencyMs = new Float64Array(capacity)
    this.#dropFraction = new Float64Array(capacity)
    this.#sorted = new Float64Array(capacity)
  }

  get count(): number {
    return this.#count
  }

  add(latencyMs: number, dropFraction: number): void {
    this.#latencyMs[this.#next] = latencyMs
    this.#dropFraction[this.#next] = dropFraction
    this.#next = (this.#next + 1) % this.#latencyMs.length
    if (this.#count < this.#latencyMs.length) this.#count++
  }

  p99Ms(): number {
    const sorted = this.#sorted
    for (let i = 0; i < this.#count; i++) {
      const value = this.#latencyMs[i]!
      let at = i
      while (at > 0 && sorted[at - 1]! > value) {
        sorted[at] = sorted[at - 1]!
        at--
      }
      sorted[at] = value
    }
    return percentile99(sorted, this.#count)
  }

  jitterMs(): number {
    return standardDeviation(this.#latencyMs, this.#count)
  }

  dropFraction(): number {
    return mean(this.#dropFraction, this.#count)
  }
}
