// Gray Failure Score: how degraded a path looks, 0 (clean) to 1.
//   a = min(p99 / latencyQuarantineMs, 1)   b = min(jitter / (2 * jitterRestrictedMs), 1)   c = min(drop / dropQuarantine, 1)
//   GFS = min(wLatency*a + wJitter*b + wDrop*c + 0.15*a*c, 1)
// Without samples all three figures are 0, and so is the score.

import type { ReferenceThresholds } from './thresholds.js'

const LATENCY_WITH_DROP = 0.15

export function grayFailureScore(
  p99Ms: number,
  jitterMs: number,
  dropFraction: number,
  thresholds: ReferenceThresholds,
): number {
  const latency = Math.min(p99Ms / thresholds.latencyQuarantineMs, 1)
  const jitter = Math.min(jitterMs / (2 * thresholds.jitterRestrictedMs), 1)
  const drop = Math.min(dropFraction / thresholds.dropQuarantine, 1)
  const weighted =
    thresholds.latencyWeight * latency +
    thresholds.jitterWeight * jitter +
    thresholds.dropWeight * drop +
    LATENCY_WITH_DROP * latency * drop
  return Math.min(weighted, 1)
}
