// One routing decision with everything it rested on, frozen: references to immutable assessments and the session counts
// of that moment. Words, PRS, FAE and ranking vectors of the record are computed from those when detail() is first called.

import type { CandidateRecord, DecisionDetail, PolicyDecision, Verdict } from '../policy.js'
import { judge } from './admissibility.js'
import type { Assessment } from './assessment.js'
import type { Demand } from './demand.js'
import { failureAmplification } from './failure-amplification.js'
import { propagationRisk } from './propagation-risk.js'
import { roundHalfEven } from './rounding.js'
import { type RouteOutcome, routeReason } from './route-outcome.js'
import { RANK_KEYS, rankInto, rankLength, type SelectionPolicy } from './selection.js'
import type { ReferenceThresholds } from './thresholds.js'

/** What a decision rests on. Arrays are in the order of the request's candidates and never written again. */
export interface Grounds {
  readonly thresholds: ReferenceThresholds
  readonly demand: Demand
  readonly selectionPolicy: SelectionPolicy
  readonly assessments: readonly Assessment[]
  /** Sessions before this decision took one. */
  readonly activeSessions: readonly number[]
  /** Candidates that are neither isolated nor full. */
  readonly availablePaths: number
  /** Positions in `assessments`, -1 when none is admissible. */
  readonly chosen: number
  readonly healthiest: number
}

/** Available alternates of one candidate: the available ones less itself. */
export function alternatesOf(availablePaths: number, assessment: Assessment, activeSessions: number): number {
  return isAvailable(assessment, activeSessions) ? availablePaths - 1 : availablePaths
}

export function isAvailable(assessment: Assessment, activeSessions: number): boolean {
  return !assessment.isolated && activeSessions < assessment.path.maxSessions
}

export class ReferenceDecision implements PolicyDecision {
  readonly verdict: Verdict
  readonly outcome: RouteOutcome
  readonly path: number
  readonly leaseId: number
  readonly ticket = 0
  readonly retryAfterUs = null
  readonly #grounds: Grounds
  #detail: DecisionDetail | null = null

  constructor(outcome: RouteOutcome, path: number, leaseId: number, grounds: Grounds) {
    this.verdict = path >= 0 ? 'admitted' : 'rejected'
    this.outcome = outcome
    this.path = path
    this.leaseId = leaseId
    this.#grounds = grounds
  }

  detail(): DecisionDetail {
    this.#detail ??= describe(this.outcome, this.#grounds)
    return this.#detail
  }
}

function describe(outcome: RouteOutcome, grounds: Grounds): DecisionDetail {
  const { assessments, chosen, healthiest, selectionPolicy } = grounds
  const chosenId = assessments[chosen]?.path.id ?? null
  return {
    outcome,
    reason: routeReason(outcome, selectionPolicy, chosenId, assessments[healthiest]?.path.id ?? null),
    selectionPolicy,
    chosen: chosenId,
    candidates: assessments.map((assessment, position) => candidateRecord(assessment, position, grounds)),
    flips: [],
    panic: false,
    pressure: null,
  }
}

/** Scores are given to 4 decimals, as the published records give them; the reason quotes the unrounded ones. */
function candidateRecord(assessment: Assessment, position: number, grounds: Grounds): CandidateRecord {
  const { demand, thresholds, selectionPolicy } = grounds
  const { path } = assessment
  const activeSessions = grounds.activeSessions[position]!
  const alternates = alternatesOf(grounds.availablePaths, assessment, activeSessions)
  const prs = propagationRisk(assessment.severity, demand.criticality, activeSessions, path.maxSessions, alternates)
  const fae = failureAmplification(assessment.gfs, demand, activeSessions, path.maxSessions, alternates, thresholds)
  const verdict = judge(assessment, demand, prs, activeSessions, path.maxSessions)
  return {
    path: path.id,
    pool: path.pool,
    state: assessment.state,
    admissible: verdict.admissible,
    outcome: verdict.outcome,
    reason: verdict.reason({ figures: assessment, demand, prs, activeSessions, maxSessions: path.maxSessions }),
    gfs: assessment.gfsRounded,
    prs: roundHalfEven(prs, 4),
    fae: roundHalfEven(fae, 4),
    p99Ms: assessment.p99Ms,
    jitterMs: assessment.jitterMs,
    dropFraction: assessment.dropFraction,
    activeSessions,
    maxSessions: path.maxSessions,
    availableAlternates: alternates,
    rank: verdict.admissible ? rankOf(selectionPolicy, assessment, activeSessions) : null,
    chosen: position === grounds.chosen,
    failed: verdict.admissible ? [] : [{ rule: verdict.outcome, have: null, limit: null }],
    model: null,
  }
}

/** Written and read within one call of rankOf. */
const scratchRank = new Float64Array(RANK_KEYS)

function rankOf(policy: SelectionPolicy, assessment: Assessment, activeSessions: number): readonly number[] {
  const { path } = assessment
  rankInto(scratchRank, policy, assessment, activeSessions, path.maxSessions, path.softLimit)
  const rank: number[] = []
  for (let i = 0; i < rankLength(policy); i++) rank.push(scratchRank[i]!)
  return rank
}
