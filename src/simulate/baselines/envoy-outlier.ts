// Baseline after Envoy: least outstanding transfers of two, and ejection after five failures in a row for 30 s times the number
// of ejections, at most half of the paths at once; an ejected path returns when its time is up.

import type { PathState, PolicyRequest, Sample } from '../../policy/policy.js'
import { type DrawStream, integerAt, streamOf } from '../../random.js'
import { Baseline, type KnownPath } from './baseline.js'

const FAILURES = 5
const EJECTION_US = 30_000_000
const LONGEST_US = 300_000_000

export class EnvoyOutlier extends Baseline {
  readonly profile = 'envoy-outlier'
  readonly #draws: DrawStream
  readonly #health: { failures: number; ejections: number; untilUs: number }[] = []
  #nowUs = 0

  constructor(seed: number) {
    super()
    this.#draws = streamOf(seed, 'envoy')
  }

  protected choose(open: readonly KnownPath[], { seq }: PolicyRequest, nowUs: number): KnownPath {
    this.#nowUs = nowUs
    const inside = open.filter((path) => this.stateOf(path) === 'healthy')
    const among = inside.length === 0 ? open : inside
    const a = among[integerAt(this.#draws, 2 * seq, among.length)]!
    const b = among[integerAt(this.#draws, 2 * seq + 1, among.length)]!
    return b.sessions < a.sessions ? b : a
  }

  protected override learn({ index }: KnownPath, _sample: Sample, failed: boolean, nowUs: number): void {
    this.#nowUs = nowUs
    const { failures, ejections, untilUs } = this.#health[index] ?? { failures: 0, ejections: 0, untilUs: 0 }
    this.#health[index] = { failures: failed ? failures + 1 : 0, ejections, untilUs }
    const ejected = this.paths.filter((path) => this.stateOf(path) === 'quarantined').length
    if (failures + 1 < FAILURES || !failed || nowUs < untilUs || (ejected + 1) * 2 > this.paths.length) return
    const longUs = Math.min(LONGEST_US, EJECTION_US * (ejections + 1))
    this.#health[index] = { failures: 0, ejections: ejections + 1, untilUs: nowUs + longUs }
  }

  protected override stateOf(path: KnownPath): PathState {
    return this.#nowUs < (this.#health[path.index]?.untilUs ?? 0) ? 'quarantined' : 'healthy'
  }
}
