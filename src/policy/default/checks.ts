// Whether one candidate may carry one request now: every check is made, every failing one is kept, the fixed order gives the
// primary reason. Checks that bar; what only makes a path less welcome raises its preference level instead (see level).
//   sessions, bytes, reservation, dispatch, state, deadline, jitter, prs, fae, canary

import type { FailedCheck, PathState } from '../policy.js'
import { type ClassLimits, levelOf } from './class-limits.js'
import { ONE } from './fixed-point.js'
import type { PathRecord, PathView } from './path.js'
import type { Rules } from './rules.js'

/** Bits of a candidate's failures, lowest first in the order of the checks. */
export const FAILS = {
  sessions: 1,
  bytes: 2,
  reservation: 4,
  dispatch: 8,
  state: 16,
  deadline: 32,
  jitter: 64,
  prs: 128,
  fae: 256,
  canary: 512,
} as const

export type Rule = keyof typeof FAILS

export const RULES = Object.keys(FAILS) as Rule[]
/** Failures that time can cure: capacity comes back. */
export const WAITABLE = FAILS.sessions | FAILS.bytes | FAILS.reservation | FAILS.dispatch | FAILS.canary
/** Failures that panic overrides. */
export const BARRED_BY_STATE = FAILS.state | FAILS.canary

/** A candidate whose median meets the deadline but whose quantile does not comes after every one that meets both. */
const AT_RISK_LEVELS = 4
/** Gray failure score from which FAE speaks: a clean path amplifies nothing, however alone it is. */
const FAE_FROM = 0.27

/** What a request asks, in the units of the checks. */
export interface Demand {
  readonly limits: ClassLimits
  readonly share: number
  readonly bytes: number
  /** Time it has; the SLA where the caller gave no deadline. */
  readonly remainingUs: number
  /** remainingUs less the margin. */
  readonly budgetUs: number
}

/** A candidate's figures for one request; written once, when the request is judged. */
export interface Candidate {
  readonly path: PathRecord
  readonly view: PathView
  readonly sessions: number
  readonly reservedBytes: number
  readonly inFlightBytes: number
  readonly openSessions: number
  readonly aheadBytes: number
  /** Work left on the path before it may be given more, microseconds; 0 or less when it may. */
  readonly dispatchWaitUs: number
  /** Part of the predicted time that is not the request's own. */
  readonly aheadUs: number
  readonly p50Us: number
  readonly quantileUs: number
  readonly jitterUs: number
  /** Transfers a restored path may still take into flight; 1 for the others. */
  readonly canaryRoom: number
  prs: number
  fae: number
  alternates: number
  /** Other candidates in service with a session free. */
  others: number
  level: number
  fails: number
  cost: number
}

export function isOut(state: PathState): boolean {
  return state === 'quarantined' || state === 'quarantine_candidate'
}

/** Fills in failures and level. PRS and FAE are known by then. */
export function check(candidate: Candidate, demand: Demand, rules: Rules, starving: boolean, trial: boolean): void {
  const { path, view } = candidate
  const { limits } = demand
  const { state } = view
  const forbid = rules.gates === 'forbid'
  let fails = 0
  const waits = candidate.dispatchWaitUs > 0
  if (waits) fails |= FAILS.dispatch
  if (candidate.sessions >= path.maxSessions) fails |= FAILS.sessions
  if (candidate.reservedBytes + demand.bytes > path.maxBytes) fails |= FAILS.bytes
  if (candidate.openSessions < 1) fails |= FAILS.reservation

  // A canary that no tolerant class takes is offered to all, or it would never be proven.
  let level = state === 'restored' && starving ? 0 : levelOf(limits.tier, state, view.stage)
  if (trial && rules.on('canary')) level -= 1
  if (isOut(state) || (forbid && level > 0 && state !== 'unknown')) fails |= FAILS.state
  if (rules.confidence && view.confidence < limits.confidence) level += 1
  if (view.suspect && (state === 'healthy' || state === 'unknown')) level += 1

  if (rules.prediction) {
    // What waits anyway is judged by what the path could do once it is free.
    const aheadUs = waits ? candidate.aheadUs : 0
    if (candidate.p50Us - aheadUs > demand.budgetUs) fails |= FAILS.deadline
    else if (candidate.quantileUs - aheadUs > demand.budgetUs) {
      if (forbid || !rules.on('at-risk')) fails |= FAILS.deadline
      else level += AT_RISK_LEVELS
    }
  }
  if (view.samples >= rules.settings.minSamples && candidate.jitterUs > limits.jitterBudget * demand.remainingUs) {
    if (forbid) fails |= FAILS.jitter
    else level += 1
  }
  if (rules.prs && candidate.prs > limits.prs) {
    if (forbid) fails |= FAILS.prs
    else level += 1
  }
  // The only path there is amplifies nothing that could be avoided by leaving it.
  const amplifies = candidate.others > 0 && view.gfs >= FAE_FROM && candidate.fae > limits.fae
  if (rules.fae && limits.tier === 'batch' && amplifies) {
    if (forbid) fails |= FAILS.fae
    else level += 1
  }
  if (state === 'restored' && rules.on('canary') && candidate.canaryRoom < 1) fails |= FAILS.canary
  candidate.level = level
  candidate.fails = fails
}

export function jitterUs(view: PathView, bytes: number): number {
  return Math.round(view.delaySpreadUs + (view.usPerByte * bytes * view.spread90) / ONE)
}

/** The failing checks with their numbers, in order. */
export function failedChecks(candidate: Candidate, demand: Demand): FailedCheck[] {
  const failed: FailedCheck[] = []
  for (const rule of RULES) if ((candidate.fails & FAILS[rule]) !== 0) failed.push(failedCheck(rule, candidate, demand))
  return failed
}

function failedCheck(rule: Rule, candidate: Candidate, demand: Demand): FailedCheck {
  const { path } = candidate
  switch (rule) {
    case 'sessions':
      return { rule, have: candidate.sessions, limit: path.maxSessions - 1 }
    case 'bytes':
      return { rule, have: candidate.reservedBytes + demand.bytes, limit: path.maxBytes }
    case 'reservation':
      return { rule, have: candidate.openSessions, limit: 1 }
    case 'dispatch':
      return { rule, have: candidate.dispatchWaitUs, limit: 0 }
    case 'state':
      return { rule, have: null, limit: null }
    case 'deadline':
      return {
        rule,
        have: candidate.p50Us > demand.budgetUs ? candidate.p50Us : candidate.quantileUs,
        limit: demand.budgetUs,
      }
    case 'jitter':
      return { rule, have: candidate.jitterUs, limit: Math.floor(demand.limits.jitterBudget * demand.remainingUs) }
    case 'prs':
      return { rule, have: round4(candidate.prs), limit: demand.limits.prs }
    case 'fae':
      return { rule, have: round4(candidate.fae), limit: demand.limits.fae }
    case 'canary':
      return { rule, have: candidate.canaryRoom, limit: 1 }
    default:
      return rule satisfies never
  }
}

export function round4(value: number): number {
  return Math.round(value * 10_000) / 10_000
}
