// Latencies in the same log-linear buckets as the native histograms, filled from JavaScript: any number of samples in fixed
// memory, percentiles at most 3.2 % off, and the mean and jitter exact.

const SUB_BITS = 5
const SUB = 2 ** SUB_BITS
const OCTAVES = 36 - SUB_BITS
const BUCKETS = (OCTAVES + 1) * SUB

export interface LatencyFigures {
  readonly samples: number
  readonly p50Us: number
  readonly p90Us: number
  readonly p99Us: number
  readonly p999Us: number
  readonly maxUs: number
  readonly meanUs: number
  /** Standard deviation, as the policy measures jitter. */
  readonly jitterUs: number
}

export class LatencyHistogram {
  readonly #counts = new Float64Array(BUCKETS)
  #samples = 0
  #sumNs = 0
  #maxNs = 0
  // Welford's running mean and squares: a plain sum of squares would lose small spreads of large latencies.
  #meanNs = 0
  #squares = 0

  record(ns: number): void {
    const value = Math.max(0, ns)
    this.#counts[bucketOf(value)]!++
    this.#samples++
    this.#sumNs += value
    if (value > this.#maxNs) this.#maxNs = value
    const delta = value - this.#meanNs
    this.#meanNs += delta / this.#samples
    this.#squares += delta * (value - this.#meanNs)
  }

  get samples(): number {
    return this.#samples
  }

  /** The value that the share `q` (0..1) of the samples does not exceed, as the middle of its bucket; 0 without samples. */
  percentileNs(q: number): number {
    if (this.#samples === 0) return 0
    const rank = Math.max(1, Math.ceil(q * this.#samples))
    let seen = 0
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      seen += this.#counts[bucket]!
      if (seen >= rank) return Math.min((lowerBoundNs(bucket) + lowerBoundNs(bucket + 1)) / 2, this.#maxNs)
    }
    return this.#maxNs
  }

  figures(): LatencyFigures {
    const us = (q: number): number => this.percentileNs(q) / 1e3
    return {
      samples: this.#samples,
      p50Us: us(0.5),
      p90Us: us(0.9),
      p99Us: us(0.99),
      p999Us: us(0.999),
      maxUs: this.#maxNs / 1e3,
      meanUs: this.#samples === 0 ? 0 : this.#sumNs / this.#samples / 1e3,
      jitterUs: this.#samples < 2 ? 0 : Math.sqrt(this.#squares / (this.#samples - 1)) / 1e3,
    }
  }

  /** Buckets that hold something: lower bound in nanoseconds, samples. */
  buckets(): [lowerNs: number, samples: number][] {
    const out: [number, number][] = []
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      if (this.#counts[bucket]! > 0) out.push([lowerBoundNs(bucket), this.#counts[bucket]!])
    }
    return out
  }
}

function bucketOf(ns: number): number {
  const whole = Math.floor(ns)
  if (whole < SUB) return whole
  const octave = bitWidth(whole) - SUB_BITS - 1
  if (octave >= OCTAVES) return BUCKETS - 1
  return (octave + 1) * SUB + Math.floor(whole / 2 ** octave) - SUB
}

function bitWidth(whole: number): number {
  const high = Math.floor(whole / 2 ** 32)
  return high > 0 ? 64 - Math.clz32(high) : 32 - Math.clz32(whole)
}

/** Smallest value of a bucket, nanoseconds. */
function lowerBoundNs(bucket: number): number {
  if (bucket < SUB) return bucket
  const octave = Math.floor(bucket / SUB) - 1
  return ((bucket % SUB) + SUB) * 2 ** octave
}
