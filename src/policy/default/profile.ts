// The `default` and `isolate` profiles behind the Policy interface: where evidence, states, capacity, queue and probes meet.
// The rules and their reasons: docs/default-policy.md.

import type {
  Alarm,
  PathDescription,
  PathSnapshot,
  PathState,
  Policy,
  PolicyDecision,
  PolicyRequest,
  ProbeDue,
  QueueAnswer,
  Sample,
  TickResult,
  Transition,
} from '../policy.js'
import { DEFAULT_SETTINGS, type PolicySettings } from '../settings.js'
import { checkClock, checkPath, checkRequest, checkSample, invalid } from './arguments.js'
import { Capacity } from './capacity.js'
import { jitterUs } from './checks.js'
import { admittedOutcome, DefaultDecision, rejectedOutcome } from './decision.js'
import { Dispatcher } from './dispatcher.js'
import { Evidence } from './evidence.js'
import { ONE } from './fixed-point.js'
import { type Judgement, judge, retryAfterUs } from './judgement.js'
import { DEMAND_HALF_LIFE_US, PathRecord } from './path.js'
import { PathClass } from './path-class.js'
import { PathMachine } from './path-machine.js'
import { ProbeSchedule } from './probe-schedule.js'
import { RetryBudget } from './retry-budget.js'
import { RiskGroups } from './risk-groups.js'
import { type Gates, Rules } from './rules.js'
import { Selection } from './selection.js'
import { predictedUs } from './service.js'

/**
 * @param profile `isolate` forbids what `default` only avoids: no release work on a degraded path, however few are left
 * @param settings complete and checked
 * @param hash of the settings; stands in every record
 */
export function createDefaultPolicy(
  profile: 'default' | 'isolate' = 'default',
  settings: PolicySettings = DEFAULT_SETTINGS,
  hash = '',
): Policy {
  return new DefaultPolicy(profile, settings, hash)
}

/** Idle paths looked at in one tick, so that 100,000 of them cost a tick no more than a thousand. */
const IDLE_LOOKED_AT = 256

class DefaultPolicy implements Policy {
  readonly profile: string
  readonly #gates: Gates
  #configHash: string
  #rules: Rules
  #selection: Selection
  readonly #paths: PathRecord[] = []
  readonly #ids = new Set<string>()
  readonly #classes = new Map<string, PathClass>()
  readonly #groups = new RiskGroups()
  readonly #machine: PathMachine
  readonly #capacity = new Capacity()
  readonly #evidence: Evidence
  readonly #dispatcher = new Dispatcher()
  readonly #retries = [new RetryBudget(), new RetryBudget(), new RetryBudget()]
  readonly #probes = new ProbeSchedule()
  /** Paths with something to judge, in the order they woke. */
  #awake: PathRecord[] = []
  #idleAt = 0
  #nowUs = 0
  #judgedUs = 0
  #nextJudgementUs = 0

  constructor(profile: 'default' | 'isolate', settings: PolicySettings, hash: string) {
    this.profile = profile
    this.#gates = profile === 'isolate' ? 'forbid' : 'prefer'
    this.#configHash = hash
    this.#rules = new Rules(settings, this.#gates)
    this.#selection = new Selection(this.#rules)
    this.#machine = new PathMachine(this.#groups, this.#rules)
    this.#evidence = new Evidence(this.#machine, this.#rules)
  }

  get configHash(): string {
    return this.#configHash
  }

  configure(settings: PolicySettings, hash: string): void {
    const rules = new Rules(settings, this.#gates)
    this.#selection = new Selection(rules)
    this.#rules = rules
    this.#machine.rules = rules
    this.#evidence.rules = rules
    this.#configHash = hash
    for (const path of this.#paths) path.dirty = true
  }

  addPath(path: PathDescription, nowUs: number): number {
    checkClock(nowUs)
    checkPath(path)
    if (this.#ids.has(path.id)) throw invalid('id', path.id, 'an id that is not known yet')
    const index = this.#paths.length
    const pool = this.#capacity.pool(path.pool)
    const record = new PathRecord(index, path, this.#clock(nowUs), {
      pool,
      peers: this.#class(path.pathClass ?? path.pool),
      groups: this.#groups.join(path.riskGroups),
      rules: this.#rules,
    })
    pool.paths.push(record)
    pool.sessions += record.maxSessions
    for (const group of record.groups) group.members.push(record)
    this.#ids.add(path.id)
    this.#paths.push(record)
    return index
  }

  observe(sample: Sample, nowUs: number): readonly Transition[] {
    checkClock(nowUs)
    const path = this.#path(sample.path)
    checkSample(sample)
    const transitions = this.#evidence.observe(path, sample, this.#capacity.lease(sample.leaseId), this.#clock(nowUs))
    if (!path.awake) this.#wake(path)
    return transitions
  }

  decide(request: PolicyRequest, nowUs: number): PolicyDecision {
    checkClock(nowUs)
    return this.#answer(request, this.#clock(nowUs), true, request.mayQueue)
  }

  explain(request: PolicyRequest, nowUs: number): PolicyDecision {
    checkClock(nowUs)
    return this.#answer(request, this.#clock(nowUs), false, request.mayQueue)
  }

  start(leaseId: number, nowUs: number): boolean {
    checkClock(nowUs)
    const lease = this.#capacity.lease(leaseId)
    if (lease === undefined || lease.settled || lease.writtenOff) return false
    lease.path.load.remove(lease, this.#clock(nowUs))
    this.#evidence.begin(lease, this.#nowUs)
    return true
  }

  release(leaseId: number, nowUs: number): boolean {
    const lease = this.#capacity.lease(leaseId)
    if (lease === undefined) return false
    // A time that makes no sense must not keep capacity from coming back.
    this.#capacity.give(lease, nowUs >= 0 && nowUs <= Number.MAX_SAFE_INTEGER ? this.#clock(nowUs) : this.#nowUs)
    this.#dispatcher.wake()
    return true
  }

  withdraw(ticket: number, _nowUs: number): boolean {
    return this.#dispatcher.withdraw(ticket)
  }

  tick(nowUs: number): TickResult {
    checkClock(nowUs)
    const now = this.#clock(nowUs)
    const expiredLeases = this.#capacity.expire(now)
    if (expiredLeases.length > 0) this.#dispatcher.wake()
    const transitions: Transition[] = []
    const probesDue: ProbeDue[] = []
    const alarms: Alarm[] = []
    if (now >= this.#nextJudgementUs) {
      this.#judgeStates(now, transitions, alarms)
      if (this.#rules.on('probes')) this.#scheduleProbes(now, probesDue)
      this.#judgedUs = now
      // On multiples of the tick, so that how often a caller comes does not shift it.
      this.#nextJudgementUs = (Math.floor(now / this.#rules.tickUs) + 1) * this.#rules.tickUs
    }
    const granted: QueueAnswer[] = []
    const abandoned: QueueAnswer[] = []
    this.#dispatcher.serve(now, this.#paths, (request) => this.#answer(request, now, true, false), granted, abandoned)
    return { expiredLeases, transitions, granted, abandoned, probesDue, alarms }
  }

  nextTickUs(): number {
    const next = Math.min(this.#nextJudgementUs, this.#capacity.firstExpiryUs(), this.#dispatcher.nextUs(this.#nowUs))
    return Math.max(this.#judgedUs, next)
  }

  pin(index: number, state: PathState | null, reason: string, untilUs: number, nowUs: number): readonly Transition[] {
    checkClock(nowUs)
    const path = this.#path(index)
    const now = this.#clock(nowUs)
    if (state !== null && !(untilUs > now && untilUs <= Number.MAX_SAFE_INTEGER)) {
      throw invalid('untilUs', untilUs, `a time after ${now}; a pin always ends`)
    }
    const transitions: Transition[] = []
    this.#setPin(path, state === null ? null : { state, reason, untilUs }, 'pinned', transitions)
    this.#wake(path)
    return transitions
  }

  snapshot(index: number): PathSnapshot {
    const path = this.#path(index)
    const view = path.view(this.#nowUs, this.#rules)
    // A snapshot has no request, so its times are those of 1 MiB on the idle path.
    const bytes = 1 << 20
    return {
      id: path.id,
      pool: path.pool.name,
      state: path.effective,
      gfs: view.gfs,
      p99Ms: predictedUs(view, bytes, 0, view.spread99, view.delaySpreadUs) / 1000,
      jitterMs: jitterUs(view, bytes) / 1000,
      dropFraction: view.failedShare,
      samples: path.windowCount,
      activeSessions: path.sessions,
      maxSessions: path.maxSessions,
    }
  }

  #answer(request: PolicyRequest, nowUs: number, take: boolean, enqueue: boolean): DefaultDecision {
    checkRequest(request, this.#paths.length)
    const { limits, share } = this.#capacity.classOf(request.workload)
    const rules = this.#rules
    if (take) for (const index of request.candidates) this.#paths[index]!.pool.asked(share, nowUs)
    const { shares } = this.#capacity
    const judgement = judge(request, this.#paths, limits, shares, share, nowUs, rules, this.#selection)
    const budget = this.#retries[limits.priority]!
    if (request.attempt > 0 && rules.on('retry-budget') && !this.#mayRetry(judgement, budget)) {
      const retry = budget.waitUs(rules.settings)
      return (
        this.#recomputed(judgement) ??
        new DefaultDecision('rejected', 'rejected_retry_budget', judgement, { retryAfterUs: retry })
      )
    }
    const chosen = judgement.candidates[judgement.chosen]
    if (chosen === undefined) {
      const waited = enqueue ? this.#dispatcher.queue(judgement, take) : null
      if (waited !== null) return waited
      const retry = retryAfterUs(judgement)
      return (
        this.#recomputed(judgement) ??
        new DefaultDecision('rejected', rejectedOutcome(judgement), judgement, { retryAfterUs: retry })
      )
    }
    if (request.recomputeUs !== null && request.recomputeUs < chosen.quantileUs) return this.#recomputed(judgement)!
    const ids = { path: chosen.path.index, leaseId: 0 }
    if (take) {
      if (request.attempt === 0) budget.earn(rules.settings)
      else if (rules.on('retry-budget')) budget.spend()
      ids.leaseId = this.#take(judgement, share)
    }
    return new DefaultDecision('admitted', admittedOutcome(chosen, judgement.panic), judgement, ids)
  }

  #mayRetry({ candidates, nowUs }: Judgement, budget: RetryBudget): boolean {
    const bad = candidates.filter(
      ({ view }) => view.state.startsWith('quarantine') || view.state === 'degraded_restricted',
    )
    return bad.length * 2 <= candidates.length && budget.has(nowUs, this.#rules.settings)
  }

  #recomputed(judgement: Judgement): DefaultDecision | null {
    if (judgement.request.recomputeUs === null) return null
    return new DefaultDecision('recompute_locally', 'recompute_locally', judgement)
  }

  #take({ candidates, chosen, request, nowUs }: Judgement, share: number): number {
    const { path, view } = candidates[chosen]!
    if (view.state === 'restored' || view.state === 'unknown') path.lastCanaryUs = nowUs
    path.demand.add(request.bytes, nowUs, DEMAND_HALF_LIFE_US)
    const lease = this.#capacity.take(path, request.bytes, share, nowUs + request.leaseUs)
    this.#evidence.begin(lease, nowUs)
    if (!path.awake) this.#wake(path)
    return lease.id
  }

  #judgeStates(nowUs: number, transitions: Transition[], alarms: Alarm[]): void {
    for (const group of this.#groups.expire(nowUs)) {
      alarms.push({ kind: 'group_suspect', subject: group.name, active: false, figures: {} })
    }
    let kept = 0
    for (const path of this.#awake) {
      if (path.pin !== null && path.pin.untilUs <= nowUs) this.#setPin(path, null, 'pin_ended', transitions)
      this.#evidence.judge(path, nowUs, transitions)
      if (this.#isQuiet(path)) path.awake = false
      else this.#awake[kept++] = path
    }
    this.#awake.length = kept
    for (const peers of this.#classes.values()) {
      if (!peers.review()) continue
      const figures = { slowdown: peers.common / ONE }
      alarms.push({ kind: 'common_mode', subject: peers.name, active: peers.alarmed, figures })
    }
    for (const group of this.#groups.takeFound()) {
      const figures = { members: group.members.length, risen: group.risenCount(nowUs) }
      alarms.push({ kind: 'group_suspect', subject: group.name, active: true, figures })
    }
    // Capacity may have come back by a state; waiting requests are asked once a tick.
    this.#dispatcher.wake()
  }

  #scheduleProbes(nowUs: number, out: ProbeDue[]): void {
    const { length } = this.#paths
    for (const path of this.#awake) this.#probes.consider(path, nowUs, this.#rules, out)
    for (let looked = Math.min(IDLE_LOOKED_AT, length); looked > 0; looked--) {
      const path = this.#paths[this.#idleAt]!
      this.#idleAt = (this.#idleAt + 1) % length
      if (path.awake) continue
      this.#probes.consider(path, nowUs, this.#rules, out)
    }
  }

  /** Nothing about it can change without an event. */
  #isQuiet(path: PathRecord): boolean {
    if (path.pin !== null || path.load.inFlight > 0 || !path.windowEmpty) return false
    if (path.state === 'unknown') return true
    return path.state === 'healthy' && path.lastSampleUs < 0
  }

  #setPin(path: PathRecord, pin: PathRecord['pin'], cause: string, out: Transition[]): void {
    const from = path.effective
    path.pin = pin
    path.dirty = true
    // The operator vouches for it: what only an operator may end, ends.
    if (pin !== null && pin.state === 'restored') this.#machine.vouch(path, this.#nowUs)
    const to = path.effective
    if (from !== to) out.push({ path: path.index, from, to, cause, figures: {} })
  }

  #wake(path: PathRecord): void {
    if (path.awake) return
    path.awake = true
    this.#awake.push(path)
  }

  #path(index: number): PathRecord {
    const path = this.#paths[index]
    if (path === undefined) throw invalid('path', index, 'the index that addPath returned')
    return path
  }

  #class(name: string): PathClass {
    let found = this.#classes.get(name)
    if (found === undefined) {
      found = new PathClass(name)
      this.#classes.set(name, found)
    }
    return found
  }

  /** The clock as the policy takes it: a step back counts as standing still. */
  #clock(nowUs: number): number {
    if (nowUs > this.#nowUs) this.#nowUs = nowUs
    return this.#nowUs
  }
}
