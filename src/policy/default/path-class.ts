// Paths that should perform alike. Their common slowdown is nobody's fault: a source that slows down slows all of them, and a
// wrong nominal rate looks the same. So a path is judged against the median of its class, once three have evidence.

import { ONE } from './fixed-point.js'
import { BUCKETS, bucketOf, slowdownOf } from './slowdown-window.js'

const LEAST_PATHS = 3
/** More learned rates change the median no more, and keeping them would cost memory. */
const MOST_RATES = 1001
/** Above twice the idle time the class itself raises the alarm. */
const COMMON_MODE_AT = 2 * ONE

export class PathClass {
  readonly name: string
  /** The lower median of the members' S50, at least 1; in 1/1024. */
  common = ONE
  alarmed = false
  /** EWMA of |log2(actual / predicted)| of both disciplines, in 1/256. */
  fairError = 0
  fifoError = 0
  /** Which prediction has been nearer lately. */
  discipline: 'fair' | 'fifo' = 'fair'
  readonly #medians = new Uint32Array(BUCKETS)
  #evidenced = 0
  readonly #rates: number[] = []

  constructor(name: string) {
    this.name = name
  }

  learned(usPerByte: number): void {
    if (this.#rates.length >= MOST_RATES) return
    this.#rates.push(usPerByte)
    this.#rates.sort((a, b) => a - b)
  }

  /** Null before three members are known. */
  medianUsPerByte(): number | null {
    return this.#rates.length < LEAST_PATHS ? null : this.#rates[(this.#rates.length - 1) >> 1]!
  }

  /** Moves one member's S50; 0 stands for no evidence. */
  moved(from: number, to: number): void {
    if (from === to) return
    if (from > 0) {
      this.#medians[bucketOf(from)]!--
      this.#evidenced--
    }
    if (to > 0) {
      this.#medians[bucketOf(to)]!++
      this.#evidenced++
    }
  }

  /** Takes the new median; true when the alarm changed. */
  review(): boolean {
    this.common = this.#evidenced < LEAST_PATHS ? ONE : Math.max(ONE, this.#lowerMedian())
    const alarmed = this.common > COMMON_MODE_AT
    if (alarmed === this.alarmed) return false
    this.alarmed = alarmed
    return true
  }

  /** One transfer's two prediction errors; the other discipline takes over when it is a tenth better. */
  judgeDiscipline(fairError: number, fifoError: number): void {
    this.fairError += (fairError - this.fairError) / 16
    this.fifoError += (fifoError - this.fifoError) / 16
    if (this.discipline === 'fair' && this.fifoError * 1.1 < this.fairError) this.discipline = 'fifo'
    else if (this.discipline === 'fifo' && this.fairError * 1.1 < this.fifoError) this.discipline = 'fair'
  }

  #lowerMedian(): number {
    const rank = (this.#evidenced + 1) >> 1
    let seen = 0
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      seen += this.#medians[bucket]!
      if (seen >= rank) return slowdownOf(bucket)
    }
    return ONE
  }
}
