// Baseline after Prequal's hot-cold rule: of three paths drawn, those with more transfers in flight than most are hot; the cold
// one with the lowest latency wins, or the least loaded when all are hot. Latency is per byte and comes from the client's own
// transfers: the original asks the servers, which do not know these paths.

import type { PolicyRequest, Sample } from '../../policy/policy.js'
import { type DrawStream, integerAt, streamOf } from '../../random.js'
import { Baseline, type KnownPath, least } from './baseline.js'

const DRAWN = 3
/** Share of paths that are cold. */
const COLD = 0.84
const WEIGHT = 0.2
const FIXED_BYTES = 4_000_000
const FAILURE_FACTOR = 4

export class Prequal extends Baseline {
  readonly profile = 'prequal'
  readonly #draws: DrawStream
  readonly #latency: number[] = []

  constructor(seed: number) {
    super()
    this.#draws = streamOf(seed, 'prequal')
  }

  protected choose(open: readonly KnownPath[], { seq }: PolicyRequest): KnownPath {
    const loads = this.paths.map((path) => path.sessions).sort((a, b) => a - b)
    const hotAbove = loads[Math.floor((loads.length - 1) * COLD)]!
    const drawn: KnownPath[] = []
    for (let i = 0; i < DRAWN; i++) drawn.push(open[integerAt(this.#draws, DRAWN * seq + i, open.length)]!)
    const cold = drawn.filter((path) => path.sessions <= hotAbove)
    if (cold.length === 0) return least(drawn, (path) => path.sessions)
    return least(cold, (path) => (this.#latency[path.index] ?? 0) * (path.sessions + 1))
  }

  protected override learn({ index }: KnownPath, { totalUs, bytes }: Sample, failed: boolean): void {
    const seen = totalUs / (bytes + FIXED_BYTES)
    const before = this.#latency[index] ?? seen
    const charged = failed ? Math.max(seen, before * FAILURE_FACTOR) : seen
    this.#latency[index] = before + WEIGHT * (charged - before)
  }
}
