// What a path can do when idle and well: a fixed cost a0 and a cost per byte b0. Given, or learned from its own samples.
// A transfer that had the path to itself shows b0 = (d - a0) / B; the 20th percentile of the first few is taken. Where that
// never happens, transfers that shared it show min(fair-share clock run / B, (d - a0) / (Q0 + B)), the benefit of the doubt
// over both disciplines; never too slow on a sound link, so the 90th percentile of more of them is taken.
// A path that turns out faster is believed, one that turns out slower is not. One more than twice as slow as the median of its
// class was slow when it was learned; it takes the median.

import type { NominalRate } from '../policy.js'
import type { PolicySettings } from '../settings.js'
import type { PathClass } from './path-class.js'

/** So many more shared samples than samples of a path alone are wanted. */
const SHARED_PER_ALONE = 4
/** So many in a row that much faster than thought make a new rate. */
const FASTER_IN_A_ROW = 20
const FASTER = 0.8

export class PathRate {
  fixedUs: number
  usPerByte: number
  /** False until the rate was given or learned; slowdowns mean nothing before. */
  known: boolean
  readonly #given: boolean
  #fasterInARow = 0
  #slowestOfThem = 0
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
    else if (this.#shared.length >= wanted * SHARED_PER_ALONE) own = at(this.#shared, 0.9)
    else {
      this.usPerByte = typical ?? (this.#alone.length > 0 ? this.#alone[0]! : at(this.#shared, 0.9))
      return
    }
    this.usPerByte = typical !== null && own > 2 * typical ? typical : own
    this.known = true
    this.#alone = null
    this.#shared = null
    peers.learned(this.usPerByte)
  }

  /** A transfer had the known path to itself and took `pace` of what was thought. True when that changed the rate. */
  moved(pace: number): boolean {
    if (this.#given) return false
    if (pace >= FASTER) {
      this.#fasterInARow = 0
      this.#slowestOfThem = 0
      return false
    }
    this.#fasterInARow++
    if (pace > this.#slowestOfThem) this.#slowestOfThem = pace
    if (this.#fasterInARow < FASTER_IN_A_ROW) return false
    this.usPerByte *= this.#slowestOfThem
    this.#fasterInARow = 0
    this.#slowestOfThem = 0
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
