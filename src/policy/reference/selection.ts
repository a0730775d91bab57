// In which order admissible paths are preferred. The workload picks the policy:
//   effective criticality <= 0.35 headroom_first; >= 0.75 or a release path health_first; else balanced
// and the policy orders the keys, compared entry by entry, smaller first, ties to the earlier registration:
//   headroom_first  [healthy ? 1 : 0, soft-full, utilisation, severity, GFS, -free]
//   health_first    [severity, GFS, soft-full, utilisation, -free]
//   balanced        [soft-full, severity, utilisation, GFS, -free]
// soft limit = max(1, round-half-even(max * soft fraction)); soft-full = 1 when active >= soft limit, else 0;
// utilisation = active/max; free = max(max - active, 0); GFS and utilisation rounded to 4 decimals.

import type { Demand } from './demand.js'
import type { ReferenceState } from './path-state.js'
import { roundHalfEven } from './rounding.js'

export type SelectionPolicy = 'headroom_first' | 'health_first' | 'balanced'

/** Length of the longest vector; the shorter ones leave a trailing 0. */
export const RANK_KEYS = 6

export interface RankedPath {
  readonly state: ReferenceState
  readonly severity: number
  /** GFS as the ranking compares it. */
  readonly gfsRounded: number
}

export function selectionPolicyOf(demand: Demand): SelectionPolicy {
  if (demand.criticality <= 0.35) return 'headroom_first'
  if (demand.criticality >= 0.75 || demand.isReleasePath) return 'health_first'
  return 'balanced'
}

export function softLimit(maxSessions: number, softCapacityFraction: number): number {
  return Math.max(1, roundHalfEven(maxSessions * softCapacityFraction))
}

export function rankLength(policy: SelectionPolicy): number {
  return policy === 'headroom_first' ? RANK_KEYS : RANK_KEYS - 1
}

/** Writes the ranking vector of one path into `rank`, which the caller keeps for reuse. */
export function rankInto(
  rank: Float64Array,
  policy: SelectionPolicy,
  path: RankedPath,
  activeSessions: number,
  maxSessions: number,
  pathSoftLimit: number,
): void {
  const softFull = activeSessions >= pathSoftLimit ? 1 : 0
  const utilisation = roundHalfEven(activeSessions / maxSessions, 4)
  const minusFree = Math.min(activeSessions - maxSessions, 0)
  switch (policy) {
    case 'headroom_first':
      rank[0] = path.state === 'healthy' ? 1 : 0
      rank[1] = softFull
      rank[2] = utilisation
      rank[3] = path.severity
      rank[4] = path.gfsRounded
      rank[5] = minusFree
      return
    case 'health_first':
      rank[0] = path.severity
      rank[1] = path.gfsRounded
      rank[2] = softFull
      rank[3] = utilisation
      break
    case 'balanced':
      rank[0] = softFull
      rank[1] = path.severity
      rank[2] = utilisation
      rank[3] = path.gfsRounded
      break
  }
  rank[4] = minusFree
  rank[5] = 0
}

/** Negative when `a` is preferred, positive when `b` is, 0 on a tie. */
export function compareRanks(a: Float64Array, b: Float64Array): number {
  for (let i = 0; i < RANK_KEYS; i++) {
    const difference = a[i]! - b[i]!
    if (difference !== 0) return difference
  }
  return 0
}
