// Baseline: the candidate with the lowest smoothed latency, untried ones first. Latency as measured, whatever the size, which
// is how the published comparison defines it: with sizes that span orders of magnitude it herds, so do not lean on it.

import type { Sample } from '../../policy/policy.js'
import { Baseline, type KnownPath, least } from './baseline.js'

const WEIGHT = 0.2
/** A failure counts as this much latency at least, so that failing fast does not look fast. */
const FAILURE_US = 1_000_000

export class LowestLatency extends Baseline {
  readonly profile = 'lowest-latency'
  readonly #latencyUs: number[] = []

  protected choose(open: readonly KnownPath[]): KnownPath {
    return least(open, (path) => this.#latencyUs[path.index] ?? 0)
  }

  protected override learn(path: KnownPath, { totalUs }: Sample, failed: boolean): void {
    const seenUs = failed ? Math.max(totalUs, FAILURE_US) : totalUs
    const beforeUs = this.#latencyUs[path.index] ?? seenUs
    this.#latencyUs[path.index] = beforeUs + WEIGHT * (seenUs - beforeUs)
  }
}
