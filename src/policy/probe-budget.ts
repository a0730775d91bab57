// How much probing one source may cause: two token buckets, probes and bytes (design: at most 20 a second and 0.5 % of what
// the source could carry). Pure: time comes with every call. Over any stretch of T seconds it lets through at most
// burst + T * perSecond probes and burstBytes + T * share * nominal bytes.

export interface ProbeBudgetLimits {
  readonly probesPerSecond: number
  /** Share of the source's nominal rate, 0..1. */
  readonly byteShare: number
  /** Probes that may follow each other at once after a rest. */
  readonly burstProbes: number
  /** Bytes that may be saved up, at least one probe of the largest size. */
  readonly burstBytes: number
}

export class ProbeBudget {
  readonly #limits: ProbeBudgetLimits
  readonly #bytesPerSecond: number
  #probes: number
  #bytes: number
  #atUs: number | undefined

  /** @param nominalBytesPerSecond what all rails of the source carry together */
  constructor(limits: ProbeBudgetLimits, nominalBytesPerSecond: number) {
    this.#limits = limits
    this.#bytesPerSecond = limits.byteShare * nominalBytesPerSecond
    this.#probes = limits.burstProbes
    this.#bytes = limits.burstBytes
  }

  /** Pays for one probe of so many bytes, a warm-up included; false, and nothing is taken, when there is not enough. */
  pay(bytes: number, nowUs: number): boolean {
    this.#refill(nowUs)
    if (this.#probes < 1 || this.#bytes < bytes) return false
    this.#probes -= 1
    this.#bytes -= bytes
    return true
  }

  /** Whether a probe of so many bytes could ever be paid for. */
  couldPay(bytes: number): boolean {
    const { burstProbes, burstBytes, probesPerSecond } = this.#limits
    return burstProbes >= 1 && probesPerSecond > 0 && bytes <= burstBytes && this.#bytesPerSecond > 0
  }

  #refill(nowUs: number): void {
    const elapsedS = this.#atUs === undefined ? 0 : Math.max(0, nowUs - this.#atUs) / 1e6
    // A clock that went back refills nothing, now or when it has caught up.
    this.#atUs = Math.max(nowUs, this.#atUs ?? nowUs)
    const { burstProbes, burstBytes, probesPerSecond } = this.#limits
    this.#probes = Math.min(burstProbes, this.#probes + elapsedS * probesPerSecond)
    this.#bytes = Math.min(burstBytes, this.#bytes + elapsedS * this.#bytesPerSecond)
  }
}
