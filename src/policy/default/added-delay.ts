// What a path adds to every transfer whatever its size: a detour, a lost packet that a timer repairs, a stalled thread. A
// slowdown cannot say it: 250 ms on top of half a millisecond is a factor of 500, on top of 100 ms one of 3.5.
// The newest nine transfers and late probes are explained twice:
//   S    time = slowdown x ideal time                      the median of the newest, as everywhere
//   D+S  time = D + slowdown' x ideal time                 D: median excess of the shorter half; slowdown': median of the longer half
// Both are held against the same nine by |log2(actual / explained)|. D+S is believed when it is a quarter nearer, until it is
// nearer no more; transfers of one size are explained alike by both. D has to be in most of the shorter half, so a single late one says nothing.

import { clampSlowdown, log2Of, ONE } from './fixed-point.js'

const KEPT = 9
const FEWEST = 3
const MOST_US = 0x3fffffff

/** Written and read within one call of add(). */
const movedOf = new Int32Array(KEPT)
const idealOf = new Int32Array(KEPT)
const sorted = new Int32Array(KEPT)

export class AddedDelay {
  /** Added to the path's fixed cost, microseconds; 0 while a slowdown alone explains as much. */
  delayUs = 0
  /** The second largest of the nine is that much above `delayUs`. */
  spreadUs = 0
  /** Slowdown beside the delay, in 1/1024; only means something while `delayUs` is above 0. */
  slowdown = ONE
  /** When the newest was added. */
  atUs = 0
  /** Time without the fixed cost and ideal time, microseconds, in turn. A plain array: a typed one of this size takes twice the memory. */
  readonly #ring = new Array<number>(2 * KEPT).fill(0)
  #count = 0
  #next = 0

  /**
   * Fits at once and not when asked: what a look computes must not depend on when somebody looked before.
   * @param movedUs time less the fixed cost
   * @param idealUs what the bytes and those ahead should have taken, as the path shares itself
   * @param slowdown what explains the path without a delay
   * @param noiseUs differences up to this mean nothing
   */
  add(movedUs: number, idealUs: number, slowdown: number, noiseUs: number, nowUs: number): void {
    this.atUs = nowUs
    this.#ring[2 * this.#next] = Math.min(MOST_US, Math.round(movedUs))
    this.#ring[2 * this.#next + 1] = Math.min(MOST_US, Math.round(idealUs))
    this.#next = (this.#next + 1) % KEPT
    if (this.#count < KEPT) this.#count++
    this.#fit(slowdown, noiseUs)
  }

  clear(): void {
    this.#count = 0
    this.#next = 0
    this.#none()
  }

  #fit(slowdown: number, noiseUs: number): void {
    const wasAdded = this.delayUs > 0
    this.#none()
    const shorter = (this.#count + 1) >> 1
    if (this.#count < FEWEST || this.#late(noiseUs) < (shorter + 2) >> 1) return
    this.#sortByIdeal()
    for (let i = 0; i < shorter; i++) sorted[i] = Math.max(0, movedOf[i]! - idealOf[i]!)
    const delayUs = nth(shorter, (shorter - 1) >> 1)
    if (delayUs <= noiseUs) return
    this.#slopeBeside(delayUs, shorter, noiseUs)
    let apart = 0
    let alone = 0
    for (let i = 0; i < this.#count; i++) {
      const actual = log2Of(movedOf[i]! + noiseUs + 1)
      const times = idealOf[i]! / ONE
      apart += Math.abs(actual - log2Of(Math.min(MOST_US, Math.round(delayUs + times * this.slowdown) + noiseUs + 1)))
      alone += Math.abs(actual - log2Of(Math.min(MOST_US, Math.round(times * slowdown) + noiseUs + 1)))
    }
    if (wasAdded ? apart >= alone : apart * 4 >= alone * 3) return
    this.delayUs = delayUs
    for (let i = 0; i < this.#count; i++) {
      sorted[i] = Math.max(0, movedOf[i]! - delayUs - Math.round((idealOf[i]! * this.slowdown) / ONE))
    }
    this.spreadUs = nth(this.#count, Math.max(0, this.#count - 2))
  }

  #none(): void {
    this.delayUs = 0
    this.spreadUs = 0
    this.slowdown = ONE
  }

  /** How many took longer than they should have by more than noise. */
  #late(noiseUs: number): number {
    let late = 0
    for (let i = 0; i < this.#count; i++) if (this.#ring[2 * i]! - this.#ring[2 * i + 1]! > noiseUs) late++
    return late
  }

  #sortByIdeal(): void {
    for (let i = 0; i < this.#count; i++) {
      const moved = this.#ring[2 * i]!
      const ideal = this.#ring[2 * i + 1]!
      let at = i
      for (; at > 0 && idealOf[at - 1]! > ideal; at--) {
        idealOf[at] = idealOf[at - 1]!
        movedOf[at] = movedOf[at - 1]!
      }
      idealOf[at] = ideal
      movedOf[at] = moved
    }
  }

  /** Of those long enough to show one. */
  #slopeBeside(delayUs: number, shorter: number, noiseUs: number): void {
    let n = 0
    for (let i = shorter; i < this.#count; i++) {
      if (idealOf[i]! > noiseUs) sorted[n++] = clampSlowdown((movedOf[i]! - delayUs) / idealOf[i]!)
    }
    this.slowdown = n === 0 ? ONE : nth(n, (n - 1) >> 1)
  }
}

/** The value at `rank` of the first `count` of `sorted`, which it puts in order. */
function nth(count: number, rank: number): number {
  for (let i = 1; i < count; i++) {
    const value = sorted[i]!
    let at = i
    for (; at > 0 && sorted[at - 1]! > value; at--) sorted[at] = sorted[at - 1]!
    sorted[at] = value
  }
  return sorted[rank]!
}
