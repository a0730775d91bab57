// Whether a path may carry a workload now. First match:
//   active >= max                                      rejected_capacity
//   quarantined, quarantine_candidate                  rejected_pool_state
//   PRS > 0.75                                         rejected_prs_too_high
//   p99 > SLA                                          rejected_latency_sla_violation
//   jitter > (1-tolerance)*5 ms and tolerance < 0.4    rejected_jitter_intolerance
//   degraded_restricted                                admits effective criticality <= 0.50
//   degraded_usable                                    refuses release paths, then effective criticality > 0.85
//   restored                                           refuses effective criticality > 0.60
//   healthy                                            admitted
// The last four refuse with rejected_criticality_too_high_for_state; the degraded ones admit with
// admitted_despite_degradation. Every verdict is one shared object; its words are made only when somebody reads them.

import type { Demand } from './demand.js'
import type { ReferenceState } from './path-state.js'
import { formatFixed } from './rounding.js'

type AdmissionOutcome =
  | 'admitted'
  | 'admitted_despite_degradation'
  | 'rejected_capacity'
  | 'rejected_pool_state'
  | 'rejected_prs_too_high'
  | 'rejected_latency_sla_violation'
  | 'rejected_jitter_intolerance'
  | 'rejected_criticality_too_high_for_state'

/** The measured side of a path as the rules see it. */
export interface PathFigures {
  readonly state: ReferenceState
  readonly gfs: number
  readonly p99Ms: number
  readonly jitterMs: number
}

/** Everything a verdict's words may quote. */
interface JudgedFacts {
  readonly figures: PathFigures
  readonly demand: Demand
  readonly prs: number
  readonly activeSessions: number
  readonly maxSessions: number
}

export interface Verdict {
  readonly admissible: boolean
  readonly outcome: AdmissionOutcome
  reason(facts: JudgedFacts): string
}

const PRS_LIMIT = 0.75
const RESTRICTED_LIMIT = 0.5
const USABLE_LIMIT = 0.85
const RESTORED_LIMIT = 0.6

const refused = (outcome: AdmissionOutcome, reason: Verdict['reason']): Verdict => ({
  admissible: false,
  outcome,
  reason,
})
const admitted = (outcome: AdmissionOutcome, reason: Verdict['reason']): Verdict => ({
  admissible: true,
  outcome,
  reason,
})
const criticality = (facts: JudgedFacts): string => formatFixed(facts.demand.criticality, 2)

const FULL = refused('rejected_capacity', (f) => `capacity exhausted (${f.activeSessions}/${f.maxSessions})`)
const QUARANTINED = refused('rejected_pool_state', (f) => `pool quarantined (gfs=${formatFixed(f.figures.gfs, 3)})`)
const QUARANTINE_CANDIDATE = refused('rejected_pool_state', () => 'quarantine candidate pending isolation')
const RISK_TOO_HIGH = refused(
  'rejected_prs_too_high',
  (f) => `PRS=${formatFixed(f.prs, 3)} exceeds threshold ${formatFixed(PRS_LIMIT, 2)}`,
)
const TOO_SLOW = refused(
  'rejected_latency_sla_violation',
  (f) => `p99=${formatFixed(f.figures.p99Ms, 1)}ms exceeds SLA ${formatFixed(f.demand.latencySlaMs, 1)}ms`,
)
const TOO_JITTERY = refused(
  'rejected_jitter_intolerance',
  (f) => `jitter ${formatFixed(f.figures.jitterMs, 1)}ms exceeds budget ${formatFixed(f.demand.jitterBudgetMs, 1)}ms`,
)
const RESTRICTED_REFUSES = refused(
  'rejected_criticality_too_high_for_state',
  (f) => `degraded_restricted blocks criticality ${criticality(f)}`,
)
const USABLE_REFUSES_RELEASE = refused(
  'rejected_criticality_too_high_for_state',
  () => 'release-critical workload blocked on degraded_usable path',
)
const USABLE_REFUSES = refused(
  'rejected_criticality_too_high_for_state',
  (f) => `criticality ${criticality(f)} too high for degraded_usable`,
)
const RESTORED_REFUSES = refused(
  'rejected_criticality_too_high_for_state',
  (f) => `restored path still blocks criticality ${criticality(f)}`,
)
const RESTRICTED_ADMITS = admitted(
  'admitted_despite_degradation',
  (f) => `low-criticality workload can use degraded_restricted path (${criticality(f)})`,
)
const USABLE_ADMITS = admitted(
  'admitted_despite_degradation',
  (f) => `degraded_usable remains admissible for workload criticality ${criticality(f)}`,
)
const RESTORED_ADMITS = admitted(
  'admitted_despite_degradation',
  (f) => `restored path admitted for workload criticality ${criticality(f)}`,
)
const HEALTHY = admitted('admitted', () => 'healthy path')

export function judge(
  figures: PathFigures,
  demand: Demand,
  prs: number,
  activeSessions: number,
  maxSessions: number,
): Verdict {
  const { state } = figures
  if (activeSessions >= maxSessions) return FULL
  if (state === 'quarantined') return QUARANTINED
  if (state === 'quarantine_candidate') return QUARANTINE_CANDIDATE
  if (prs > PRS_LIMIT) return RISK_TOO_HIGH
  if (figures.p99Ms > demand.latencySlaMs) return TOO_SLOW
  if (demand.isJitterBound && figures.jitterMs > demand.jitterBudgetMs) return TOO_JITTERY
  switch (state) {
    case 'healthy':
      return HEALTHY
    case 'degraded_restricted':
      return demand.criticality <= RESTRICTED_LIMIT ? RESTRICTED_ADMITS : RESTRICTED_REFUSES
    case 'degraded_usable':
      if (demand.isReleasePath) return USABLE_REFUSES_RELEASE
      return demand.criticality > USABLE_LIMIT ? USABLE_REFUSES : USABLE_ADMITS
    case 'restored':
      return demand.criticality > RESTORED_LIMIT ? RESTORED_REFUSES : RESTORED_ADMITS
  }
}
