// Propagation Risk Score: how far a failure of this path would reach, 0 to 1.
//   PRS = min(exposure * effective criticality * dependence * severity(state), 1)
//   no available alternate: exposure = dependence = 1
//   else: exposure = 1/(1 + alternates), dependence = min(0.25 + active/max, 1)

export function propagationRisk(
  severity: number,
  criticality: number,
  activeSessions: number,
  maxSessions: number,
  availableAlternates: number,
): number {
  if (availableAlternates === 0) return Math.min(criticality * severity, 1)
  const exposure = 1 / (1 + availableAlternates)
  const dependence = Math.min(0.25 + activeSessions / maxSessions, 1)
  return Math.min(exposure * criticality * dependence * severity, 1)
}
