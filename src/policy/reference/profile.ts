// The `reference` profile: the published rules behind the Policy interface, faults included (docs/reference-profile.md).
// The published "pool" is a path here; a candidate's alternates are the other candidates of its request.

import { SeamError } from '../../errors.js'
import {
  NOTHING_HAPPENED,
  type PathDescription,
  type PathSnapshot,
  type PathState,
  type Policy,
  type PolicyDecision,
  type PolicyRequest,
  type Sample,
  type TickResult,
  type Transition,
} from '../policy.js'
import { judge } from './admissibility.js'
import { checkClock, checkLease, checkPath, checkSample, entersWindow } from './arguments.js'
import { type Assessment, reassess, unmeasured } from './assessment.js'
import { alternatesOf, isAvailable, ReferenceDecision } from './decision.js'
import { demandOf } from './demand.js'
import { LeaseBook } from './leases.js'
import { PathWindow } from './path-window.js'
import { propagationRisk } from './propagation-risk.js'
import { routeOutcome } from './route-outcome.js'
import { Router } from './router.js'
import { selectionPolicyOf, softLimit } from './selection.js'
import { type ReferenceThresholds, resolveThresholds } from './thresholds.js'

export interface ReferencePolicyOptions {
  /** Laid over the published thresholds. */
  readonly thresholds?: Partial<ReferenceThresholds>
}

/** The published snapshot plus the two counters its state machine runs on. */
export interface ReferencePathSnapshot extends PathSnapshot {
  readonly badWindows: number
  readonly cleanWindows: number
}

const NO_TRANSITIONS: readonly Transition[] = Object.freeze([])

/** Throws KVSEAM_CONFIG_INVALID when a threshold is unknown or out of range. */
export function createReferencePolicy(options: ReferencePolicyOptions = {}): Policy {
  return new ReferencePolicy(options, new LeaseBook())
}

/** The vector checker builds it around its own lease book, to set session counts; everybody else uses the function above. */
export class ReferencePolicy implements Policy {
  readonly profile = 'reference'
  readonly configHash = ''
  readonly #thresholds: ReferenceThresholds
  readonly #leases: LeaseBook
  readonly #assessments: Assessment[] = []
  readonly #windows: PathWindow[] = []
  readonly #ids = new Set<string>()
  readonly #router = new Router()

  constructor(options: ReferencePolicyOptions, leases: LeaseBook) {
    this.#thresholds = resolveThresholds(options.thresholds)
    this.#leases = leases
  }

  addPath(path: PathDescription, nowUs: number): number {
    checkClock(nowUs)
    checkPath(path)
    if (this.#ids.has(path.id)) {
      throw new SeamError(
        'KVSEAM_INVALID_ARGUMENT',
        { field: 'id', value: path.id },
        `path '${path.id}' is already known`,
      )
    }
    // 0 means "not given" for both, as in the published code (`value or default`).
    const maxSessions = path.maxSessions || this.#thresholds.maxSessions
    const fraction = path.softCapacityFraction || this.#thresholds.softCapacityFraction
    const index = this.#assessments.length
    this.#ids.add(path.id)
    this.#leases.addPath()
    this.#windows.push(new PathWindow(this.#thresholds.candidateWindow))
    this.#assessments.push(
      unmeasured({ index, id: path.id, pool: path.pool, maxSessions, softLimit: softLimit(maxSessions, fraction) }),
    )
    return index
  }

  observe(sample: Sample, nowUs: number): readonly Transition[] {
    checkClock(nowUs)
    checkSample(sample)
    const before = this.#at(sample.path)
    if (!entersWindow(sample)) return NO_TRANSITIONS
    const window = this.#windows[sample.path]!
    window.add(sample.totalUs / 1000, sample.dropFraction)
    const after = reassess(before, window, this.#thresholds)
    this.#assessments[sample.path] = after
    return after.state === before.state ? NO_TRANSITIONS : [transitionBetween(before, after)]
  }

  decide(request: PolicyRequest, nowUs: number): PolicyDecision {
    checkClock(nowUs)
    checkLease(request.leaseUs)
    return this.#route(request, nowUs + request.leaseUs)
  }

  explain(request: PolicyRequest, nowUs: number): PolicyDecision {
    checkClock(nowUs)
    return this.#route(request, null)
  }

  release(leaseId: number, _nowUs: number): boolean {
    return this.#leases.release(leaseId)
  }

  /** Nothing here depends on when a transfer was posted. */
  start(_leaseId: number, _nowUs: number): boolean {
    return false
  }

  /** The published rules have no queue. */
  withdraw(_ticket: number, _nowUs: number): boolean {
    return false
  }

  tick(nowUs: number): TickResult {
    checkClock(nowUs)
    const expiredLeases = this.#leases.expire(nowUs)
    return expiredLeases.length === 0 ? NOTHING_HAPPENED : { ...NOTHING_HAPPENED, expiredLeases }
  }

  nextTickUs(): number {
    return this.#leases.firstExpiryUs()
  }

  pin(_path: number, state: PathState | null): readonly Transition[] {
    throw new SeamError(
      'KVSEAM_NOT_SUPPORTED',
      { profile: this.profile, state },
      "the published rules know no operator override; open the seam with profile 'default' to pin a path",
    )
  }

  configure(): void {
    throw new SeamError(
      'KVSEAM_NOT_SUPPORTED',
      { profile: this.profile },
      'the published thresholds are fixed when the policy is made; make a new one',
    )
  }

  snapshot(path: number): ReferencePathSnapshot {
    const { path: identity, state, gfs, p99Ms, jitterMs, dropFraction, samples, ...rest } = this.#at(path)
    return {
      id: identity.id,
      pool: identity.pool,
      state,
      gfs,
      p99Ms,
      jitterMs,
      dropFraction,
      samples,
      activeSessions: this.#leases.active[path]!,
      maxSessions: identity.maxSessions,
      badWindows: rest.badWindows,
      cleanWindows: rest.cleanWindows,
    }
  }

  /** @param leaseExpiresUs null judges without taking a session */
  #route(request: PolicyRequest, leaseExpiresUs: number | null): ReferenceDecision {
    const demand = demandOf(request.workload)
    const selectionPolicy = selectionPolicyOf(demand)
    const count = request.candidates.length
    const assessments = new Array<Assessment>(count)
    const activeSessions = new Array<number>(count)
    let availablePaths = 0
    let previous = -1
    for (let i = 0; i < count; i++) {
      const index = request.candidates[i]!
      const assessment = this.#at(index)
      if (index <= previous) throw unordered(previous, index)
      previous = index
      const active = this.#leases.active[index]!
      assessments[i] = assessment
      activeSessions[i] = active
      if (isAvailable(assessment, active)) availablePaths++
    }
    const router = this.#router
    router.begin(selectionPolicy)
    for (let i = 0; i < count; i++) {
      const assessment = assessments[i]!
      const active = activeSessions[i]!
      const { maxSessions } = assessment.path
      const alternates = alternatesOf(availablePaths, assessment, active)
      const prs = propagationRisk(assessment.severity, demand.criticality, active, maxSessions, alternates)
      if (judge(assessment, demand, prs, active, maxSessions).admissible) router.consider(i, assessment, active)
    }
    const { chosen, healthiest } = router
    const grounds = {
      thresholds: this.#thresholds,
      demand,
      selectionPolicy,
      assessments,
      activeSessions,
      availablePaths,
      chosen,
      healthiest,
    }
    if (chosen < 0) return new ReferenceDecision('no_admissible_pool', -1, 0, grounds)
    const winner = assessments[chosen]!
    const leaseId = leaseExpiresUs === null ? 0 : this.#leases.take(winner.path.index, leaseExpiresUs)
    return new ReferenceDecision(routeOutcome(chosen === healthiest, winner.state), winner.path.index, leaseId, grounds)
  }

  #at(path: number): Assessment {
    const assessment = this.#assessments[path]
    if (assessment === undefined) {
      throw new SeamError(
        'KVSEAM_INVALID_ARGUMENT',
        { field: 'path', value: path, paths: this.#assessments.length },
        `no path has index ${path}; use the index that addPath returned`,
      )
    }
    return assessment
  }
}

function transitionBetween(before: Assessment, after: Assessment): Transition {
  const { gfs, p99Ms, jitterMs, dropFraction, samples, badWindows, cleanWindows } = after
  return {
    path: after.path.index,
    from: before.state,
    to: after.state,
    cause: after.cause,
    figures: { gfs, p99Ms, jitterMs, dropFraction, samples, badWindows, cleanWindows },
  }
}

function unordered(previous: number, index: number): SeamError {
  return new SeamError(
    'KVSEAM_INVALID_ARGUMENT',
    { field: 'candidates', previous, value: index },
    `candidate ${index} follows ${previous}; list each path once, in registration order (ties are broken by it)`,
  )
}
