// What a path can do when idle and well: a fixed cost a0 and a cost per byte b0. Given, or learned from its own samples.
// A transfer that had the path to itself shows b0 = (d - a0) / B; the 20th percentile of the first few is taken. Where that
// never happens, transfers that shared it show min(fair-share clock run / B, (d - a0) / (Q0 + B)), the benefit of the doubt
// over both disciplines; that is too fast rather than too slow, so the median of more of them is taken.
// A path that turns out faster is believed, one that turns out slower is not. One more than twice as slow as the median of its
// class was slow when it was learned; it takes the median.

import type { NominalRate } from '../policy.js'
import type { PolicySettings } from '../settings.js'
import type { PathClass } from './path-class.js'

/** So many more shared samples than samples of a path alone are wanted. */
const SHARED_PER_ALONE = 4

export class PathRate {
  fixedUs: number
  usPerByte: number
  /** False until the rate was given or learned; slowdowns mean nothing before. */
  known: boolean
  readonly #given: boolean
  #alone: number[] | null = null
  #shared: number[] | null = null

  constructor(nominal: NominalRate | undefined, settings: PolicySettings) {
    this.#given = nominal !== undefined
    this.known = this.#given
    this.fixedUs = nominal?.fixedUs ?? settings.defaultFixedUs
    this.usPerByte = 1_000_000 / (nominal?.bytesPerSecond ?? settings.defaultBytesPerSecond)
  }

  /** @param usPerByte what one transfer showed, above 0 @param alone it shared the path with no other */
  learn(usPerByte: number, alone: boolean, wanted: number, peers: PathClass): void {
    if (this.known) return
    this.#alone ??= []
    this.#shared ??= []
    insert(alone ? this.#alone : this.#shared, usPerByte)
    const typical = peers.medianUsPerByte()
    let own: number
    if (this.#alone.length >= wanted) own = at(this.#alone, 0.2)
    else if (this.#shared.length >= wanted * SHARED_PER_ALONE) own = at(this.#shared, 0.5)
    else {
      this.usPerByte = typical ?? (this.#alone.length > 0 ? this.#alone[0]! : at(this.#shared, 0.5))
      return
    }
    this.usPerByte = typical !== null && own > 2 * typical ? typical : own
    this.known = true
    this.#alone = null
    this.#shared = null
    peers.learned(this.usPerByte)
  }

  /** The path has been this much (below 1) faster than thought for a whole window. False where the rate was given. */
  believeFaster(ratio: number): boolean {
    if (this.#given) return false
    this.usPerByte *= ratio
    return true
  }

  /** A transfer whose bytes hardly counted, on an idle path. */
  fixedCost(totalUs: number): void {
    if (!this.#given && totalUs < this.fixedUs) this.fixedUs = totalUs
  }
}

function insert(sorted: number[], value: number): void {
  sorted.push(value)
  sorted.sort((a, b) => a - b)
}

function at(sorted: readonly number[], q: number): number {
  return sorted[Math.floor((sorted.length - 1) * q)]!
}
