// Judges one request: figures of every candidate, checks, panic, choice. Takes nothing and remembers nothing.

import type { PolicyRequest } from '../policy.js'
import { BARRED_BY_STATE, type Candidate, check, type Demand, FAILS, isOut, jitterUs } from './checks.js'
import type { ClassLimits } from './class-limits.js'
import { ONE } from './fixed-point.js'
import type { PathRecord, PathView } from './path.js'
import { CANARY_IN_FLIGHT } from './path-machine.js'
import type { Pool, Share } from './pool.js'
import type { Rules } from './rules.js'
import { failureAmplification, propagationRisk, SEVERITY } from './scores.js'
import { costOf, type Selection } from './selection.js'
import { aheadOf, delaySpreadOf, predictedUs, spreadOf } from './service.js'

export interface Judgement {
  readonly rules: Rules
  readonly request: PolicyRequest
  readonly nowUs: number
  readonly demand: Demand
  readonly candidates: readonly Candidate[]
  /** Place of the chosen candidate, -1 when none. */
  readonly chosen: number
  readonly panic: boolean
  readonly pressure: number
}

/** A restored path nobody has used for this long offers its token to every class. */
const CANARY_STARVES_US = 5_000_000
/** A path that nobody has proven is offered to tolerant work first, one transfer at a time and this far apart. */
const TRIAL_PAUSE_US = 1_000_000
/** A head that is late by this many times its own time, and stallAgeMs, holds up nothing more: it hangs, or pace will tell. */
const LATE_MOST = 2
/** On a link that shares fairly, so many times smaller than what is left of the one transfer ahead: it delays that by a fraction. */
const OVERTAKES = 4
/**
 * Figures that are filled in later begin as no whole number: where a field first holds one and then a fraction, the engine moves
 * every single object to another layout, which cost three times the rest of a decision.
 */
const UNSET = Number.NaN
/** Without a deadline and without a candidate there is nothing to take an SLA from. */
const NO_CANDIDATE_SLA_US = 0

export function judge(
  request: PolicyRequest,
  paths: readonly PathRecord[],
  limits: ClassLimits,
  shares: readonly Share[],
  share: number,
  nowUs: number,
  rules: Rules,
  selection: Selection,
): Judgement {
  const { bytes } = request
  const count = request.candidates.length
  const candidates = new Array<Candidate>(count)
  let spareAll = 0
  let spareClean = 0
  let roomy = 0
  let healthy = 0
  let utilised = 0
  let idealUs = Number.POSITIVE_INFINITY
  // Candidates of one pool stand together, and what is open there is the same for all of them.
  let pool: Pool | null = null
  let openSessions = 1
  const memoryUs = rules.settings.demandMemoryMs * 1000
  for (let i = 0; i < count; i++) {
    const path = paths[request.candidates[i]!]!
    const view = path.view(nowUs, rules)
    idealUs = Math.min(idealUs, view.fixedUs + view.usPerByte * bytes)
    const out = isOut(view.state)
    if (!out && path.sessions < path.maxSessions) {
      roomy++
      spareAll += view.spare
      if (!view.suspect) spareClean += view.spare
    }
    if (view.state === 'healthy') {
      healthy++
      utilised += view.utilisation
    }
    if (rules.reservations && path.pool !== pool) {
      pool = path.pool
      openSessions = pool.open(share, shares, nowUs, memoryUs)
    }
    candidates[i] = figures(path, view, request, limits, openSessions, nowUs, rules)
  }
  const remainingUs =
    request.deadlineUs !== null
      ? Math.max(0, request.deadlineUs - nowUs)
      : count === 0
        ? NO_CANDIDATE_SLA_US
        : Math.round(limits.slaBaseUs + limits.slaMultiple * idealUs)
  const budgetUs = Math.floor(remainingUs * (1 - rules.settings.deadlineMargin))
  const demand: Demand = { limits, share, bytes, remainingUs, budgetUs }
  let barred = 0
  for (let i = 0; i < count; i++) {
    const candidate = candidates[i]!
    amplify(candidate, limits, candidate.view.suspect ? spareClean : spareAll, roomy)
    const { path, view } = candidate
    const starving = view.state === 'restored' && nowUs - path.lastCanaryUs >= CANARY_STARVES_US
    check(candidate, demand, rules, starving, limits.tier === 'batch' && wantsTrial(path, view, nowUs))
    candidate.cost = costOf(limits, candidate.p50Us, candidate.quantileUs)
    if ((candidate.fails & BARRED_BY_STATE) !== 0) barred++
  }
  const pressure = healthy === 0 ? 0 : utilised / healthy
  let chosen = selection.choose(candidates, request.seq)
  let panic = false
  // One path in service that is only busy is no reason to panic: the request waits, or is told when to come back.
  if (chosen < 0 && barred === count && rules.gates === 'prefer' && rules.on('panic')) {
    chosen = leastBad(candidates)
    panic = chosen >= 0
  }
  return { rules, request, nowUs, demand, candidates, chosen, panic, pressure }
}

/** Only payload proves a path, and where others are free and better known nobody would bring any. The first one goes alone. */
function wantsTrial(path: PathRecord, { state }: PathView, nowUs: number): boolean {
  const idle = path.load.inFlight === 0
  if (state === 'restored') return path.badPayloads === 0 && (idle || path.cleanPayloads > 0)
  return state === 'unknown' && idle && nowUs - path.lastCanaryUs >= TRIAL_PAUSE_US
}

function figures(
  path: PathRecord,
  view: PathView,
  request: PolicyRequest,
  limits: ClassLimits,
  openSessions: number,
  nowUs: number,
  rules: Rules,
): Candidate {
  const { bytes } = request
  const { quantile } = limits
  const aheadBytes = aheadOf(path, view, bytes, nowUs, rules)
  return {
    path,
    view,
    sessions: path.sessions,
    reservedBytes: path.reservedBytes,
    inFlightBytes: path.load.inFlightBytes,
    openSessions,
    aheadBytes,
    dispatchWaitUs: request.mayQueue ? dispatchWaitUs(path, view, bytes, nowUs, rules) : 0,
    aheadUs: Math.round((view.usPerByte * aheadBytes * view.expected) / ONE),
    p50Us: predictedUs(view, bytes, aheadBytes, 0),
    quantileUs: predictedUs(view, bytes, aheadBytes, spreadOf(view, quantile), delaySpreadOf(view, quantile)),
    jitterUs: jitterUs(view, bytes),
    canaryRoom: view.state === 'restored' ? CANARY_IN_FLIGHT[view.stage]! - path.load.inFlight : 1,
    prs: UNSET,
    fae: UNSET,
    alternates: UNSET,
    others: 0,
    level: 0,
    fails: 0,
    cost: UNSET,
  }
}

/**
 * A path is given more only when what it carries is nearly through, so that the queue and not the link decides what comes
 * next; a small request may share a fair link with one large transfer. Behind a transfer that is late nothing is sent for a while: either it hangs, or the path is slower than thought.
 */
function dispatchWaitUs(path: PathRecord, view: PathView, bytes: number, nowUs: number, rules: Rules): number {
  const { dispatchUs, noiseUs, stallAgeMs } = rules.settings
  const { oldest } = path.load
  if (oldest === null || !rules.dispatch) return 0
  const usPerByte = (view.usPerByte * view.expected) / ONE
  const leftBytes = path.load.fifoAhead(nowUs, usPerByte)
  const waitUs = leftBytes * usPerByte - dispatchUs
  if (waitUs > 0) {
    const shares = rules.overtake && path.peers.discipline === 'fair' && path.load.inFlight === 1
    return shares && bytes * OVERTAKES <= leftBytes ? 0 : Math.ceil(waitUs)
  }
  const lateUs = path.load.headLateUs(nowUs, usPerByte, view.fixedUs + view.delayUs)
  if (lateUs <= noiseUs) return 0
  return Math.max(0, Math.ceil(LATE_MOST * oldest.bytes * usPerByte + stallAgeMs * 1000 - lateUs))
}

/** PRS and FAE, against the room of the other candidates. */
function amplify(candidate: Candidate, limits: ClassLimits, spare: number, roomy: number): void {
  const { path, view } = candidate
  const own = !isOut(view.state) && path.sessions < path.maxSessions
  const others = Math.max(0, spare - (own ? view.spare : 0))
  const paths = own ? roomy - 1 : roomy
  const alternates = view.demand <= 0 ? paths : Math.min(paths, others / view.demand)
  candidate.alternates = alternates
  candidate.others = paths
  candidate.prs = propagationRisk(alternates, limits.criticality, view.utilisation, view.state, view.gfs)
  candidate.fae = failureAmplification(view.gfs, limits.criticality, view.demand, others)
}

/**
 * Fails open: restored without a token, then a candidate, then a quarantined path that carries nothing else (one transfer at
 * a time is proof enough). Never a path that corrupts or has no link, and never against an operator's pin.
 */
function leastBad(candidates: readonly Candidate[]): number {
  let best = -1
  for (let i = 0; i < candidates.length; i++) {
    const candidate = candidates[i]!
    const { path, view } = candidate
    if ((candidate.fails & ~BARRED_BY_STATE) !== 0 || (candidate.fails & BARRED_BY_STATE) === 0) continue
    if (path.pin !== null || path.quarantine === 'corrupt' || path.quarantine === 'link_down') continue
    if (view.state === 'quarantined' && path.load.inFlight > 0) continue
    if (best < 0 || panicOrder(candidate, candidates[best]!) < 0) best = i
  }
  return best
}

function panicOrder(a: Candidate, b: Candidate): number {
  return SEVERITY[a.view.state] - SEVERITY[b.view.state] || a.cost - b.cost
}

/** When asking again could end better, microseconds from now; null when nobody knows. */
export function retryAfterUs(judgement: Judgement): number | null {
  let soonest = Number.POSITIVE_INFINITY
  const { budgetUs } = judgement.demand
  for (const { path, view, fails, p50Us, aheadBytes, dispatchWaitUs: dispatchWait } of judgement.candidates) {
    let waitUs = Math.max(0, dispatchWait)
    if ((fails & (FAILS.sessions | FAILS.bytes | FAILS.reservation | FAILS.canary)) !== 0)
      waitUs = headLeftUs(path, view, judgement.nowUs)
    if ((fails & FAILS.state) !== 0) {
      if (path.pin !== null) waitUs = Math.max(waitUs, path.pin.untilUs - judgement.nowUs)
      else if (view.state === 'quarantined') waitUs = Math.max(waitUs, path.holdUntilUs - judgement.nowUs)
      else waitUs = Math.max(waitUs, judgement.rules.settings.verifyMs * 1000)
    }
    if ((fails & FAILS.deadline) !== 0) {
      const excessUs = p50Us - budgetUs
      const aheadUs = (view.usPerByte * aheadBytes * view.expected) / ONE
      // Too slow even when idle: waiting does not help here.
      if (excessUs > aheadUs) continue
      waitUs = Math.max(waitUs, excessUs)
    }
    if ((fails & (FAILS.fae | FAILS.prs | FAILS.jitter)) !== 0) waitUs = Math.max(waitUs, judgement.rules.tickUs)
    if (waitUs < soonest) soonest = waitUs
  }
  return soonest === Number.POSITIVE_INFINITY ? null : Math.max(1, Math.ceil(soonest))
}

/** Time until the oldest transfer of the path should be through. */
export function headLeftUs(path: PathRecord, view: PathView, nowUs: number): number {
  const { oldest } = path.load
  if (oldest === null) return 0
  const fullUs = (view.usPerByte * (oldest.bytes + oldest.aheadBytes) * view.expected) / ONE
  return Math.max(1, Math.ceil(oldest.startUs + view.fixedUs + view.delayUs + fullUs - nowUs))
}
