// A snapshot of one native latency histogram, and the percentiles of it. Buckets: native/core/histogram.h.

const SUB_BITS = 5
const SUB = 2 ** SUB_BITS
/** Numbers that the addon writes for one histogram: count, sum, maximum, then the buckets. */
export const HISTOGRAM_SIZE = 3 + 32 * SUB

/** Smallest value of a bucket, nanoseconds. */
function lowerBoundNs(bucket: number): number {
  if (bucket < SUB) return bucket
  const octave = Math.floor(bucket / SUB) - 1
  return ((bucket % SUB) + SUB) * 2 ** octave
}

/** Latency of successful transfers; each bucket is at most 3.2 % wide, so a percentile is off by at most that. */
export class LatencySnapshot {
  readonly count: number
  readonly sumNs: number
  readonly maxNs: number
  readonly #buckets: Float64Array

  /** @param raw what the addon's `histogram` wrote: count, sum, maximum, then the buckets */
  constructor(raw: Float64Array) {
    this.count = raw[0]!
    this.sumNs = raw[1]!
    this.maxNs = raw[2]!
    this.#buckets = raw.subarray(3)
  }

  get meanNs(): number {
    return this.count === 0 ? 0 : this.sumNs / this.count
  }

  /** The value that the share `q` (0..1) of the samples does not exceed, as the middle of its bucket; 0 without samples. */
  percentileNs(q: number): number {
    // Counted here: the total may be newer than the buckets, which another thread goes on filling.
    let total = 0
    for (const count of this.#buckets) total += count
    if (total === 0) return 0
    const rank = Math.max(1, Math.ceil(q * total))
    let seen = 0
    for (let bucket = 0; bucket < this.#buckets.length; bucket++) {
      seen += this.#buckets[bucket]!
      if (seen >= rank) return Math.min((lowerBoundNs(bucket) + lowerBoundNs(bucket + 1)) / 2, Math.max(this.maxNs, 1))
    }
    return this.maxNs
  }
}
