// Baseline: up or down. Three failures in a row put a path down for 10 s; then it is up again on trust, and one failure
// puts it down again. Chooses as least-bytes does among the paths that are up, or among all when none is.

import type { PathState, PolicyRequest, Sample } from '../../policy/policy.js'
import type { KnownPath } from './baseline.js'
import { LeastBytes } from './least-bytes.js'

const FAILURES = 3
const DOWN_US = 10_000_000

export class BinaryHealth extends LeastBytes {
  override readonly profile = 'binary-health'
  readonly #failures: number[] = []
  readonly #downUntilUs: number[] = []
  #nowUs = 0

  protected override choose(open: readonly KnownPath[], _request: PolicyRequest, nowUs: number): KnownPath {
    this.#nowUs = nowUs
    const up = open.filter((path) => this.stateOf(path) === 'healthy')
    return this.fewestBytes(up.length === 0 ? open : up)
  }

  protected override learn(path: KnownPath, _sample: Sample, failed: boolean, nowUs: number): void {
    this.#nowUs = nowUs
    const failures = failed ? (this.#failures[path.index] ?? 0) + 1 : 0
    this.#failures[path.index] = failures
    if (failures >= FAILURES) this.#downUntilUs[path.index] = nowUs + DOWN_US
  }

  protected override stateOf(path: KnownPath): PathState {
    return this.#nowUs < (this.#downUntilUs[path.index] ?? 0) ? 'quarantined' : 'healthy'
  }
}
