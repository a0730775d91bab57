// The newest evidence of a path: slowdowns as a log-linear histogram over eight sub-windows, successes and failures as exact
// counts. Exact counts, not time-decayed averages: under those a tight burst of successes hides a total outage.
// 16 buckets an octave (6 % wide) from 1/2 to 64: 2 KB a path, so that 100,000 active paths stay below 500 MB.

import { LEAST_SLOWDOWN, MOST_SLOWDOWN } from './fixed-point.js'

const SUB_WINDOWS = 8
const SUB_BITS = 4
const LEAST_BITS = 31 - Math.clz32(LEAST_SLOWDOWN)
export const BUCKETS = ((31 - Math.clz32(MOST_SLOWDOWN) - LEAST_BITS) << SUB_BITS) + 1
/** Further samples of a sub-window are counted but not sorted in; also keeps every cell below 2^16. */
const MOST_SORTED = 4096

export interface Quantiles {
  readonly n: number
  /** In 1/1024; 0 without samples. */
  readonly s50: number
  readonly s90: number
  readonly s99: number
}

const NO_QUANTILES: Quantiles = Object.freeze({ n: 0, s50: 0, s90: 0, s99: 0 })

export function bucketOf(slowdown: number): number {
  const bits = 31 - Math.clz32(slowdown)
  return ((bits - LEAST_BITS) << SUB_BITS) + ((slowdown >>> (bits - SUB_BITS)) & ((1 << SUB_BITS) - 1))
}

/** Middle of a bucket; the last one stands for everything slower. */
export function slowdownOf(bucket: number): number {
  if (bucket === BUCKETS - 1) return MOST_SLOWDOWN
  const octave = (bucket >> SUB_BITS) + LEAST_BITS
  const width = 1 << (octave - SUB_BITS)
  return (1 << octave) + (bucket & ((1 << SUB_BITS) - 1)) * width + (width >> 1)
}

/** Rows of the counter table: the eight sub-windows, then their sum. */
const ROWS = SUB_WINDOWS + 1
const SUM = SUB_WINDOWS * BUCKETS

export class SlowdownWindow {
  /** ROWS of BUCKETS, then the samples sorted into each sub-window: one array, since 100,000 paths have one each. */
  readonly #cells = new Uint16Array(ROWS * BUCKETS + SUB_WINDOWS)
  /** Successes, then failures, of each sub-window. */
  readonly #counts = new Uint32Array(SUB_WINDOWS * 2)
  #subWindow = 0
  #ok = 0
  #failed = 0
  #n = 0

  get ok(): number {
    return this.#ok
  }

  get failed(): number {
    return this.#failed
  }

  get empty(): boolean {
    return this.#ok === 0 && this.#failed === 0
  }

  /** Drops what is older than the span; true when something went. Time never goes back here; the profile sees to that. */
  advance(nowUs: number, spanUs: number): boolean {
    const current = Math.floor((nowUs * SUB_WINDOWS) / spanUs)
    const passed = Math.min(current - this.#subWindow, SUB_WINDOWS)
    if (passed === 0) return false
    if (passed < 0) {
      // Time does not go back, so the span has grown: what was counted in other sub-windows cannot be told apart now.
      this.clear()
      this.#subWindow = current
      return true
    }
    const first = this.#subWindow
    this.#subWindow = current
    if (this.empty) return false
    for (let i = 1; i <= passed; i++) this.#clear((first + i) % SUB_WINDOWS)
    return true
  }

  succeed(slowdown: number | null): void {
    const sub = this.#subWindow % SUB_WINDOWS
    this.#ok++
    this.#counts[sub]!++
    if (slowdown !== null) this.#sort(slowdown, sub)
  }

  fail(slowdown: number | null): void {
    const sub = this.#subWindow % SUB_WINDOWS
    this.#failed++
    this.#counts[SUB_WINDOWS + sub]!++
    if (slowdown !== null) this.#sort(slowdown, sub)
  }

  clear(): void {
    for (let sub = 0; sub < SUB_WINDOWS; sub++) this.#clear(sub)
  }

  /**
   * With few samples the tail is stretched from the farthest quantile they support: the largest q of .5, .9, .95, .99 with
   * n(1 - q) >= 1 gives S99 = S50 + (Sq - S50) k(q), k = 1.82 for .9, 1.41 for .95.
   */
  quantiles(): Quantiles {
    const n = this.#n
    if (n === 0) return NO_QUANTILES
    const far = n >= 100 ? 0.99 : n >= 20 ? 0.95 : 0.9
    const stretch = n >= 100 ? 1 : n >= 20 ? 1.41 : n >= 10 ? 1.82 : 1
    const rank50 = Math.ceil(n * 0.5)
    const rank90 = Math.ceil(n * 0.9)
    const rankFar = Math.ceil(n * far)
    let s50 = 0
    let s90 = 0
    let seen = 0
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const here = this.#cells[SUM + bucket]!
      if (here === 0) continue
      seen += here
      if (s50 === 0 && seen >= rank50) s50 = slowdownOf(bucket)
      if (s90 === 0 && seen >= rank90) s90 = slowdownOf(bucket)
      if (seen < rankFar) continue
      const s99 = Math.round(s50 + (slowdownOf(bucket) - s50) * stretch)
      return { n, s50, s90, s99: Math.min(Math.max(s90, s99), MOST_SLOWDOWN) }
    }
    return NO_QUANTILES
  }

  #sort(slowdown: number, sub: number): void {
    const sorted = ROWS * BUCKETS + sub
    if (this.#cells[sorted]! >= MOST_SORTED) return
    const bucket = bucketOf(slowdown)
    this.#cells[sorted]!++
    this.#cells[sub * BUCKETS + bucket]!++
    this.#cells[SUM + bucket]!++
    this.#n++
  }

  #clear(sub: number): void {
    this.#ok -= this.#counts[sub]!
    this.#failed -= this.#counts[SUB_WINDOWS + sub]!
    this.#counts[sub] = 0
    this.#counts[SUB_WINDOWS + sub] = 0
    const sorted = ROWS * BUCKETS + sub
    if (this.#cells[sorted] === 0) return
    this.#n -= this.#cells[sorted]!
    this.#cells[sorted] = 0
    const start = sub * BUCKETS
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const gone = this.#cells[start + bucket]!
      if (gone === 0) continue
      this.#cells[SUM + bucket]! -= gone
      this.#cells[start + bucket] = 0
    }
  }
}
