// What a path can do when idle and well: a fixed cost a0 and a cost per byte b0. Given, or learned from its own samples.
//   one sample of b0 = min(fair-share clock run / B, (d - a0) / (Q0 + B)): the benefit of the doubt over both disciplines
//   b0 = the 20th percentile of the first samples; a path that turns out faster is believed, one that turns out slower is not
// A path more than twice as slow as the median of its class was slow when it was learned; it takes the median.

import type { NominalRate } from '../policy.js'
import type { PolicySettings } from '../settings.js'
import type { PathClass } from './path-class.js'

export class PathRate {
  fixedUs: number
  usPerByte: number
  /** False until the rate was given or learned; slowdowns mean nothing before. */
  known: boolean
  readonly #given: boolean
  #samples: number[] | null = null

  constructor(nominal: NominalRate | undefined, settings: PolicySettings) {
    this.#given = nominal !== undefined
    this.known = this.#given
    this.fixedUs = nominal?.fixedUs ?? settings.defaultFixedUs
    this.usPerByte = 1_000_000 / (nominal?.bytesPerSecond ?? settings.defaultBytesPerSecond)
  }

  /** @param usPerByte benefit of the doubt over both disciplines, above 0 */
  learn(usPerByte: number, wanted: number, peers: PathClass): void {
    if (this.known) return
    this.#samples ??= []
    this.#samples.push(usPerByte)
    this.#samples.sort((a, b) => a - b)
    if (this.#samples.length < wanted) {
      this.usPerByte = peers.medianUsPerByte() ?? this.#samples[0]!
      return
    }
    const own = this.#samples[Math.floor((this.#samples.length - 1) / 5)]!
    const typical = peers.medianUsPerByte()
    this.usPerByte = typical !== null && own > 2 * typical ? typical : own
    this.known = true
    this.#samples = null
    peers.learned(this.usPerByte)
  }

  /** The path has been this much (below 1) faster than thought for a whole window. */
  believeFaster(ratio: number): void {
    if (!this.#given) this.usPerByte *= ratio
  }

  /** A transfer whose bytes hardly counted, on an idle path. */
  fixedCost(totalUs: number): void {
    if (!this.#given && totalUs < this.fixedUs) this.fixedUs = totalUs
  }
}
