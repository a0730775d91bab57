// One decision with the judgement it rests on, frozen. Words, failing checks and what would flip it are made when detail() is
// first called.

import type { CandidateRecord, DecisionDetail, PolicyDecision, Verdict } from '../policy.js'
import { type Candidate, type Demand, FAILS, failedChecks, RULES, type Rule, round4 } from './checks.js'
import { ONE } from './fixed-point.js'
import { flipsOf } from './flips.js'
import type { Judgement } from './judgement.js'

export class DefaultDecision implements PolicyDecision {
  readonly verdict: Verdict
  readonly outcome: string
  readonly path: number
  readonly leaseId: number
  readonly ticket: number
  readonly retryAfterUs: number | null
  /** Read by the queue. */
  readonly judgement: Judgement
  #detail: DecisionDetail | null = null

  constructor(
    verdict: Verdict,
    outcome: string,
    judgement: Judgement,
    ids: { path?: number; leaseId?: number; ticket?: number; retryAfterUs?: number | null } = {},
  ) {
    this.verdict = verdict
    this.outcome = outcome
    this.path = ids.path ?? -1
    this.leaseId = ids.leaseId ?? 0
    this.ticket = ids.ticket ?? 0
    this.retryAfterUs = ids.retryAfterUs ?? null
    this.judgement = judgement
  }

  get predictedUs(): number | null {
    return this.judgement.candidates[this.judgement.chosen]?.quantileUs ?? null
  }

  detail(): DecisionDetail {
    this.#detail ??= describe(this, this.judgement)
    return this.#detail
  }
}

/** Outcome of an admission, by the state of the path it goes to. */
export function admittedOutcome(candidate: Candidate, panic: boolean): string {
  if (panic) return 'panic_admitted'
  switch (candidate.view.state) {
    case 'restored':
      return 'admitted_canary'
    case 'degraded_usable':
    case 'degraded_restricted':
      return 'admitted_degraded'
    default:
      return 'admitted'
  }
}

/** The rule that bars the candidate which came nearest to admission; `no_path` without candidates. */
export function rejectedOutcome(judgement: Judgement): string {
  let fewest = Number.POSITIVE_INFINITY
  let primary: Rule | 'path' = 'path'
  for (const { fails } of judgement.candidates) {
    const failing = RULES.filter((rule) => (fails & FAILS[rule]) !== 0)
    if (failing.length >= fewest || failing.length === 0) continue
    fewest = failing.length
    primary = failing[0]!
  }
  return primary === 'path' ? 'no_path' : `rejected_${primary}`
}

function describe(decision: DefaultDecision, judgement: Judgement): DecisionDetail {
  const { candidates, chosen, panic, pressure } = judgement
  const winner = candidates[chosen]
  const admitted = decision.verdict === 'admitted'
  return {
    outcome: decision.outcome,
    reason: reasonOf(decision, judgement),
    selectionPolicy: panic ? 'least_bad' : 'level_then_time',
    chosen: admitted ? (winner?.path.id ?? null) : null,
    candidates: candidates.map((candidate, place) => recordOf(candidate, judgement, admitted && place === chosen)),
    flips: flipsOf(decision.verdict, judgement),
    panic,
    pressure: round4(pressure),
  }
}

function reasonOf(decision: DefaultDecision, { candidates, chosen, request, panic }: Judgement): string {
  const winner = candidates[chosen]
  switch (decision.verdict) {
    case 'admitted':
      return panic
        ? `every path is barred by its state; ${winner!.path.id} is the least bad`
        : `least predicted time at the lowest level that serves: ${winner!.path.id}`
    case 'queued':
      return 'a path would serve it, but none has capacity free now'
    case 'recompute_locally':
      return winner === undefined
        ? `no path can serve it; computing again takes ${request.recomputeUs} us`
        : `computing again takes ${request.recomputeUs} us, ${winner.path.id} ${winner.quantileUs} us`
    case 'rejected':
      if (decision.outcome === 'rejected_retry_budget') return 'the retry budget of its class is spent'
      if (candidates.length === 0) return 'no candidate path'
      return `no candidate path may carry it: ${decision.outcome.replace('rejected_', '')}`
    default:
      return decision.verdict satisfies never
  }
}

function recordOf(candidate: Candidate, judgement: Judgement, chosen: boolean): CandidateRecord {
  const { path, view, fails } = candidate
  const { demand } = judgement
  const admissible = fails === 0 || (chosen && judgement.panic)
  const failed = fails === 0 ? NONE : failedChecks(candidate, demand)
  return {
    path: path.id,
    pool: path.pool.name,
    state: view.state,
    admissible,
    outcome: fails === 0 ? 'admissible' : `rejected_${failed[0]!.rule}`,
    reason: fails === 0 ? 'passes every check' : wordsOf(candidate, failed[0]!.rule as Rule, demand),
    gfs: view.gfs,
    prs: round4(candidate.prs),
    fae: round4(candidate.fae),
    p99Ms: candidate.quantileUs / 1000,
    jitterMs: candidate.jitterUs / 1000,
    dropFraction: round4(view.failedShare),
    activeSessions: candidate.sessions,
    maxSessions: path.maxSessions,
    availableAlternates: round4(candidate.alternates),
    rank: fails === 0 ? [candidate.level, candidate.cost] : null,
    chosen,
    failed,
    model: {
      level: candidate.level,
      stage: view.state === 'restored' ? view.stage : null,
      slowdown: [view.s50 / ONE, view.s90 / ONE, view.s99 / ONE],
      delayUs: view.delayUs,
      confidence: round4(view.confidence),
      ageUs: view.lastSampleUs < 0 ? null : judgement.nowUs - view.lastSampleUs,
      inFlightBytes: candidate.inFlightBytes,
      aheadBytes: candidate.aheadBytes,
      predictedUs: [candidate.p50Us, candidate.quantileUs],
    },
  }
}

const NONE = Object.freeze([])

function wordsOf(candidate: Candidate, rule: Rule, demand: Demand): string {
  const { path, view } = candidate
  switch (rule) {
    case 'sessions':
      return `all ${path.maxSessions} sessions are taken`
    case 'bytes':
      return `${candidate.reservedBytes} + ${demand.bytes} bytes exceed ${path.maxBytes}`
    case 'reservation':
      return `the sessions left in pool ${path.pool.name} are set aside for other classes`
    case 'dispatch':
      return `${candidate.dispatchWaitUs} us of work are left on it before it takes more`
    case 'state':
      return `${view.state} carries no ${demand.limits.tier} work`
    case 'deadline':
      return `${candidate.p50Us} us expected${view.delayUs > 0 ? ` and ${view.delayUs} us of it at any size` : ''}, ${demand.budgetUs} us left`
    case 'jitter':
      return `a spread of ${candidate.jitterUs} us is more than ${demand.limits.jitterBudget} of ${demand.remainingUs} us`
    case 'prs':
      return `propagation risk ${round4(candidate.prs)} is above ${demand.limits.prs}`
    case 'fae':
      return `failure amplification ${round4(candidate.fae)} is above ${demand.limits.fae}`
    case 'canary':
      return `restored at stage ${view.stage}, which has as many transfers in flight as it may`
    default:
      return rule satisfies never
  }
}
