// Baseline after the published scoring of Mooncake TENT: (bytes in flight + bytes) over smoothed bandwidth, least wins; every
// 100th call goes round-robin as a probe; three errors within 10 s pause a path for 30 s, doubling up to 300 s.
// Bandwidth is what the path moved for itself and those before it, the stronger of the possible readings.

import type { PathState, PolicyRequest, Sample } from '../../policy/policy.js'
import { Baseline, type KnownPath, least } from './baseline.js'

/** Weight of the past. */
const SMOOTHING = 0.8
const PROBE_EVERY = 100
const ERRORS = 3
const ERROR_WINDOW_US = 10_000_000
const PAUSE_US = 30_000_000
const LONGEST_PAUSE_US = 300_000_000

export class TentScore extends Baseline {
  readonly profile = 'tent-score'
  readonly #bandwidth: number[] = []
  readonly #errorsUs: number[][] = []
  readonly #pause: { untilUs: number; nextUs: number }[] = []
  readonly #ahead = new Map<number, number>()
  #calls = 0
  #nowUs = 0

  protected choose(open: readonly KnownPath[], { bytes }: PolicyRequest, nowUs: number): KnownPath {
    this.#nowUs = nowUs
    const running = open.filter((path) => this.stateOf(path) === 'healthy')
    const among = running.length === 0 ? open : running
    const call = this.#calls++
    const path =
      call % PROBE_EVERY === PROBE_EVERY - 1
        ? among[Math.floor(call / PROBE_EVERY) % among.length]!
        : least(among, (each) => (each.bytes + bytes) / (this.#bandwidth[each.index] ?? Number.MAX_VALUE))
    this.#ahead.set(this.nextLease, path.bytes + bytes)
    return path
  }

  protected override learn({ index }: KnownPath, sample: Sample, failed: boolean, nowUs: number): void {
    this.#nowUs = nowUs
    const moved = this.#ahead.get(sample.leaseId) ?? sample.bytes
    this.#ahead.delete(sample.leaseId)
    if (failed) {
      this.#err(index, nowUs)
      return
    }
    const seen = moved / Math.max(1, sample.totalUs)
    this.#bandwidth[index] = (this.#bandwidth[index] ?? seen) * SMOOTHING + seen * (1 - SMOOTHING)
    this.#pause[index] = { untilUs: 0, nextUs: PAUSE_US }
  }

  #err(index: number, nowUs: number): void {
    const recent = [...(this.#errorsUs[index] ?? []), nowUs].filter((atUs) => nowUs - atUs < ERROR_WINDOW_US)
    this.#errorsUs[index] = recent
    if (recent.length < ERRORS) return
    const { nextUs } = this.#pause[index] ?? { nextUs: PAUSE_US }
    this.#pause[index] = { untilUs: nowUs + nextUs, nextUs: Math.min(LONGEST_PAUSE_US, nextUs * 2) }
  }

  protected override stateOf(path: KnownPath): PathState {
    return this.#nowUs < (this.#pause[path.index]?.untilUs ?? 0) ? 'quarantined' : 'healthy'
  }
}
