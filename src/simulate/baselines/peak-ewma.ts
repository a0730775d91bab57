// Baseline: power of two choices over peak-sensitive smoothed latency times outstanding transfers, as in Finagle and linkerd.
// Latency is taken per byte, else the sizes of these transfers would drown it.

import type { PolicyRequest, Sample } from '../../policy/policy.js'
import { type DrawStream, integerAt, streamOf } from '../../random.js'
import { Baseline, type KnownPath } from './baseline.js'

const DECAY_US = 10_000_000
const FIXED_BYTES = 4_000_000
/** A failure counts as this many times the cost so far. */
const FAILURE_FACTOR = 4

export class PeakEwma extends Baseline {
  readonly profile = 'p2c-peak-ewma'
  readonly #draws: DrawStream
  readonly #costs: { value: number; atUs: number }[] = []

  constructor(seed: number) {
    super()
    this.#draws = streamOf(seed, 'p2c')
  }

  protected choose(open: readonly KnownPath[], { seq }: PolicyRequest): KnownPath {
    const i = integerAt(this.#draws, 2 * seq, open.length)
    const j = (i + 1 + integerAt(this.#draws, 2 * seq + 1, Math.max(1, open.length - 1))) % open.length
    return this.#load(open[j]!) < this.#load(open[i]!) ? open[j]! : open[i]!
  }

  protected override learn(path: KnownPath, { totalUs, bytes }: Sample, failed: boolean, nowUs: number): void {
    const before = this.#costs[path.index]
    const seen = totalUs / (bytes + FIXED_BYTES)
    const cost = failed ? Math.max(seen, (before?.value ?? seen) * FAILURE_FACTOR) : seen
    if (before === undefined || cost > before.value) {
      this.#costs[path.index] = { value: cost, atUs: nowUs }
      return
    }
    // e^(-t/decay) by its first terms' reciprocal: exact enough for a smoothing weight, and the same on every machine.
    const t = (nowUs - before.atUs) / DECAY_US
    const kept = 1 / (1 + t + (t * t) / 2)
    this.#costs[path.index] = { value: before.value * kept + cost * (1 - kept), atUs: nowUs }
  }

  #load(path: KnownPath): number {
    return (this.#costs[path.index]?.value ?? 0) * (path.sessions + 1)
  }
}
