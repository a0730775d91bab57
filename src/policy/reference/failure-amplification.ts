// Failure Amplification Estimate: how much more would be lost than the degradation seen so far; reported, decides nothing.
//   FAE  = 0 when GFS < 0.01, else min(loss / max(GFS, 0.05), faeMax)
//   loss = min(max(active/faeClusterScale, 0.25*active/max) * scarcity * effective criticality * release, 1)
//   scarcity = 2.5 with no available alternate, else 1 + 0.5/alternates; release = 2 on a release path, else 1

import type { Demand } from './demand.js'
import type { ReferenceThresholds } from './thresholds.js'

export function failureAmplification(
  gfs: number,
  demand: Demand,
  activeSessions: number,
  maxSessions: number,
  availableAlternates: number,
  thresholds: ReferenceThresholds,
): number {
  if (gfs < 0.01) return 0
  const reach = Math.max(activeSessions / thresholds.faeClusterScale, (0.25 * activeSessions) / maxSessions)
  const scarcity = availableAlternates === 0 ? 2.5 : 1 + 0.5 / availableAlternates
  const release = demand.isReleasePath ? 2 : 1
  const loss = Math.min(reach * scarcity * demand.criticality * release, 1)
  return Math.min(loss / Math.max(gfs, 0.05), thresholds.faeMax)
}
