// The only stateful file of the policy side: owns the clock, feeds samples in, mints permits, answers those who wait. It judges
// through a policy object, whose inputs and outputs all become records, and never touches bytes.

import { object, refuse, text, wholeNumber } from './check.js'
import { type PartialSettings, policyHash } from './config/policy-settings.js'
import { type DecideRequest, policyRequest } from './decide-request.js'
import {
  type Admitted,
  AdmittedOutcome,
  type Decision,
  type Queued,
  type Rejected,
  RejectedOutcome,
} from './decision.js'
import { didYouMean } from './did-you-mean.js'
import { SeamError } from './errors.js'
import type { FaultedReleases } from './faults/releases.js'
import { binding, type GateCounters } from './native/binding.js'
import { sampleChannel } from './observe/channels.js'
import type { Path, PathTable } from './paths.js'
import { Permit, permitNumber, sealPermit } from './permit.js'
import type { PathDescription, PathSnapshot, PathState, Policy, SampleOutcome } from './policy/policy.js'
import type { ProbeScheduleRules } from './policy/probe-schedule.js'
import type { PolicySettings } from './policy/settings.js'
import type { WorkloadProfile } from './policy/workload.js'
import type { BackgroundCounters } from './probe/background-probes.js'
import { PathProbes } from './probe/path-probes.js'
import type { ProbeOptions } from './probe/probe-options.js'
import type { ProbeReport } from './probe/probe-report.js'
import type { DecisionRecord } from './record/decision-record.js'
import {
  type Note,
  type RecordedDecision,
  RecordedPolicy,
  type RecordedTick,
  type RecordStream,
} from './record/recorded-policy.js'
import { WaitingLine } from './waiting-line.js'

/** Longest and shortest sleep between two ticks. */
const TICK_MOST_MS = 250
const TICK_LEAST_MS = 1
const LONGEST_PIN_MS = 86_400_000

/** One measured outcome, e.g. from a proxy that sees only HTTP. */
export interface Observation {
  readonly path: string
  readonly outcome: SampleOutcome
  readonly totalUs: number
  readonly bytes: number
  /** Share of the bytes that did not arrive; 0 for `ok`, 1 for any other outcome unless told. */
  readonly dropFraction?: number
  readonly source?: 'transfer' | 'probe'
  readonly selfDelayed?: boolean
  /** Lease of the decision it ran under; none for a probe. */
  readonly lease?: number
}

export interface OrchestratorOptions {
  readonly policy: Policy
  /** Settings the policy was made with; null for a profile without settings. */
  readonly settings: PolicySettings | null
  /** The settings as their sources are now. */
  readonly settingsWith: (changes: PartialSettings) => PolicySettings
  readonly gate: number
  readonly paths: PathTable
  readonly workloads: ReadonlyMap<string, WorkloadProfile>
  /** Microseconds, whole, never going back. */
  readonly clockUs: () => number
  readonly stream: RecordStream
  readonly releases: FaultedReleases
  readonly defaultDeadlineMs: number
  readonly permitTtlMs: number
  /** Undefined: nothing is probed in the background. */
  readonly probes: ProbeScheduleRules | undefined
}

export class Orchestrator {
  readonly #options: OrchestratorOptions
  readonly #policy: RecordedPolicy
  readonly #byIndex: Path[] = []
  /** Paths by the agent they start at, in registration order: a decision looks at no others. */
  readonly #byStart = new Map<string, Path[]>()
  readonly #line = new WaitingLine()
  readonly #probes: PathProbes
  #timer: NodeJS.Timeout | undefined
  #admitted = 0
  #rejected = 0
  #queued = 0
  #closed = false

  /** @internal Use `seam.policy`. */
  constructor(options: OrchestratorOptions) {
    this.#options = options
    this.#policy = new RecordedPolicy(options.policy, options.settings, options.stream, options.clockUs())
    this.#probes = new PathProbes({
      gate: options.gate,
      permitTtlMs: options.permitTtlMs,
      rules: options.probes,
      profile: options.policy.profile,
      clockUs: options.clockUs,
      faulted: () => options.stream.faulted(),
      open: () => !this.#closed,
      record: (report, cause, observed) =>
        this.#policy.note(() => ({ schema: 'kvseam.probe/1', cause, observed, ...report }), this.#now()),
      observe: (path, bytes, sample) => this.#observe(path, { path: path.id, bytes, source: 'probe', ...sample }),
    })
    this.#sleep()
  }

  get profile(): string {
    return this.#policy.profile
  }

  /** Of the settings in force; stands in every decision record. */
  get policyHash(): string {
    return this.#policy.configHash
  }

  /** `queued`: how many had to wait, whatever came of it; `waiting`: how many do now. */
  get counters(): {
    admitted: number
    rejected: number
    queued: number
    waiting: number
    permits: GateCounters
    /** Null when nothing is probed in the background. */
    probes: BackgroundCounters | null
  } {
    return {
      admitted: this.#admitted,
      rejected: this.#rejected,
      queued: this.#queued,
      waiting: this.#line.size,
      permits: binding().gateCounters(this.#options.gate),
      probes: this.#probes.counters,
    }
  }

  /** Judges one request. "No" is an answer, not an exception; only a request that makes no sense throws. */
  decide(request: DecideRequest & { readonly queue?: false }): Admitted | Rejected
  decide(request: DecideRequest): Decision
  decide(request: DecideRequest): Decision {
    const nowUs = this.#now()
    const asked = this.#asked(request, nowUs)
    this.#tickIfDue(nowUs)
    const judged = this.#policy.decide(asked, nowUs)
    if (judged.decision.verdict === 'queued') return this.#enqueue(judged)
    return this.#outcome(judged, nowUs)
  }

  /** The record that `decide` would write now; takes no capacity and gives no permit. */
  explain(request: DecideRequest): DecisionRecord {
    const nowUs = this.#now()
    const asked = this.#asked(request, nowUs)
    this.#tickIfDue(nowUs)
    return this.#policy.explain(asked, nowUs)
  }

  /**
   * Feeds one measured outcome.
   * @throws KVSEAM_NO_PATH for an unknown path, KVSEAM_INVALID_ARGUMENT for impossible figures; nothing changes then
   */
  observe(observation: Observation): void {
    object('observation', observation, 'it must be an object with path, outcome, totalUs and bytes')
    text('observation.path', observation.path)
    this.#observe(this.#pathOf(observation.path), observation)
  }

  /** @internal Use `path.probe()`. */
  async probe(path: Path, options: ProbeOptions): Promise<ProbeReport> {
    this.#now()
    return await this.#probes.run(path, options, 'asked')
  }

  /** Gives a session back. False when the lease is unknown, expired or given back already. */
  release(lease: number): boolean {
    const nowUs = this.#now()
    const fate = this.#options.releases.fateOf(lease)
    if (fate === undefined) return this.#release(lease, nowUs)
    if (fate.kind === 'later') {
      setTimeout(() => {
        if (!this.#closed) this.#release(lease, this.#now())
      }, fate.afterMs).unref()
    }
    return fate.kind !== 'refused'
  }

  #release(lease: number, nowUs: number): boolean {
    const released = this.#policy.release(lease, nowUs)
    if (this.#line.size > 0) this.#tick()
    return released
  }

  /**
   * Has the policy take a path for `state`, whatever its evidence says, until the time is up; null ends that. Recorded.
   * @throws KVSEAM_NO_PATH, KVSEAM_NOT_SUPPORTED in profiles without pins, KVSEAM_OUT_OF_BOUNDS
   */
  pin(path: string, state: PathState | null, { reason, ttlMs }: { reason: string; ttlMs: number }): void {
    const { policyIndex } = this.#pathOf(path)
    if (typeof reason !== 'string' || reason.trim() === '') {
      throw refuse(
        'KVSEAM_INVALID_ARGUMENT',
        'reason',
        reason,
        'say who pins the path and why; it stands in the records',
      )
    }
    wholeNumber('ttlMs', ttlMs, 1, LONGEST_PIN_MS)
    const nowUs = this.#now()
    this.#policy.pin(policyIndex, state, reason, nowUs + ttlMs * 1000, nowUs)
  }

  /**
   * Reads the settings again from where they came (file, environment, options), with `changes` laid over the options, and puts
   * them in force at once. Evidence, leases and states stay; a bad source changes nothing. Recorded.
   * @returns the hash that records name from now on
   * @throws KVSEAM_CONFIG_INVALID, KVSEAM_NOT_SUPPORTED for a profile without settings
   */
  reload(changes: PartialSettings = {}): string {
    const settings = this.#options.settingsWith(changes)
    this.#policy.configure(settings, policyHash(this.profile, settings), this.#now())
    return this.policyHash
  }

  /** @internal Makes a path known; its index in the policy. */
  addPath(description: PathDescription): number {
    return this.#policy.addPath(description, this.#now())
  }

  /** @internal */
  register(path: Path): void {
    this.#byIndex[path.policyIndex] = path
    const known = this.#byStart.get(path.from)
    if (known === undefined) this.#byStart.set(path.from, [path])
    else known.push(path)
    this.#probes.add(path, this.#now())
  }

  /** @internal */
  snapshot(policyIndex: number): PathSnapshot {
    return this.#policy.snapshot(policyIndex)
  }

  /** @internal Whether another usable path that is not excluded has the same ends. */
  hasAlternate(path: Path, exclude: readonly string[]): boolean {
    for (const other of this.#byStart.get(path.from) ?? []) {
      if (other !== path && other.to === path.to && other.usable && !exclude.includes(other.id)) return true
    }
    return false
  }

  /** @internal The decision's transfer is posted now; its time counts from here. */
  started(decision: Admitted): void {
    if (!this.#closed) this.#policy.start(decision.lease, this.#now())
  }

  /** @internal Leave for a part of an admitted decision's bytes, instead of its own permit. */
  partPermit(decision: Admitted, bytes: number): Permit {
    return this.#mint(decision.path, bytes, decision.workload, this.#now())
  }

  /** @internal Takes back a permit that will not be used. */
  revoke(permit: Permit): void {
    if (!this.#closed) binding().revoke(this.#options.gate, permitNumber(permit))
  }

  /** @internal What came of an admitted decision: for the policy a sample, for the log the whole. */
  settled(observation: Observation, path: Path, outcome: () => Note): void {
    if (this.#closed) return
    this.#observe(path, observation)
    this.#policy.note(outcome, this.#now())
  }

  /** @internal As observe(), but a seam closed meanwhile learns nothing more and raises nothing. */
  observeQuietly(observation: Observation): void {
    if (!this.#closed) this.observe(observation)
  }

  /** @internal As release(), but also right after close(), when leases mean nothing any more. */
  releaseQuietly(lease: number): void {
    if (!this.#closed) this.release(lease)
  }

  /** A decision whose transfer will not be posted: permit and session go back. */
  abandon(decision: Admitted): void {
    this.revoke(decision.permit)
    this.releaseQuietly(decision.lease)
  }

  /** @internal Before a seam closes: what its transfers give back must not be granted to those who wait. */
  dismiss(): void {
    this.#line.close(closedError())
  }

  /** @internal */
  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
    this.#policy.flush()
    this.#line.close(closedError())
  }

  #now(): number {
    if (this.#closed) throw closedError()
    return this.#options.clockUs()
  }

  #observe(path: Path, observation: Observation): void {
    const nowUs = this.#now()
    this.#policy.observe(
      {
        path: path.policyIndex,
        leaseId: observation.lease ?? 0,
        outcome: observation.outcome,
        totalUs: observation.totalUs,
        bytes: observation.bytes,
        dropFraction: observation.dropFraction ?? (observation.outcome === 'ok' ? 0 : 1),
        source: observation.source ?? 'transfer',
        selfDelayed: observation.selfDelayed ?? false,
      },
      nowUs,
    )
    if (observation.source !== 'probe') this.#probes.payload(path, nowUs)
    if (sampleChannel.hasSubscribers) sampleChannel.publish(observation)
  }

  #asked(request: DecideRequest, nowUs: number) {
    object('request', request, 'it must be an object with workload, bytes and from')
    const { workloads, defaultDeadlineMs } = this.#options
    return policyRequest(
      request,
      this.#byStart.get(request.from) ?? [],
      { workloads, deadlineMs: defaultDeadlineMs },
      nowUs,
      this.#policy.nextSeq,
    )
  }

  #outcome(judged: RecordedDecision, nowUs: number): Admitted | Rejected {
    const { decision, request } = judged
    if (decision.verdict !== 'admitted') {
      this.#rejected++
      return new RejectedOutcome(judged)
    }
    const path = this.#byIndex[decision.path]!
    try {
      const permit = this.#mint(path, request.bytes, request.workload.name, nowUs)
      this.#admitted++
      this.#options.releases.taken(decision.leaseId, {
        path: path.id,
        workload: request.workload.name,
        bytes: request.bytes,
      })
      return new AdmittedOutcome(judged, path, permit)
    } catch (error) {
      this.#policy.release(decision.leaseId, nowUs)
      throw error
    }
  }

  #enqueue(judged: RecordedDecision): Queued {
    this.#queued++
    const queued = this.#line.join(judged, (ticket) => {
      this.#policy.withdraw(ticket, this.#now())
      this.#rejected++
    })
    this.#sleep()
    return queued
  }

  /** What is due by now must not be overlooked by a judgement, e.g. a lease that has expired. */
  #tickIfDue(nowUs: number): void {
    if (nowUs >= this.#policy.nextTickUs()) this.#answer(this.#policy.tick(nowUs, 'request'), nowUs)
  }

  #tick(): void {
    const nowUs = this.#now()
    this.#answer(this.#policy.tick(nowUs), nowUs)
    this.#probes.tick((index) => this.#byIndex[index]!, nowUs)
  }

  #answer(tick: RecordedTick, nowUs: number): void {
    this.#options.releases.expired(tick.expiredLeases)
    this.#probes.want(tick.probesDue)
    for (const { ticket, answer } of tick.answers) {
      const waits = this.#line.answer(ticket, () => this.#outcome(answer, nowUs))
      if (!waits && answer.decision.leaseId !== 0) this.#policy.release(answer.decision.leaseId, nowUs)
    }
  }

  /** Until the policy has something to do. Somebody who waits for an answer keeps the process alive, an idle seam does not. */
  #sleep(): void {
    clearTimeout(this.#timer)
    const dueMs = (this.#policy.nextTickUs() - this.#options.clockUs()) / 1000
    this.#timer = setTimeout(
      () => {
        this.#tick()
        this.#sleep()
      },
      Math.max(TICK_LEAST_MS, Math.min(TICK_MOST_MS, dueMs)),
    )
    if (this.#line.size === 0) this.#timer.unref()
  }

  #pathOf(id: string): Path {
    const path = this.#options.paths.get(id)
    if (path !== undefined) return path
    const known = [...this.#options.paths].map((each) => each.id)
    throw new SeamError(
      'KVSEAM_NO_PATH',
      { path: id },
      `path ${JSON.stringify(id)} is not known here${didYouMean(id, known)}; connect the agents first`,
    )
  }

  #mint(path: Path, bytes: number, workload: string, nowUs: number): Permit {
    const ttlMs = this.#options.permitTtlMs
    // Only fault rules ask natively for the class of a transfer.
    const classNumber = this.#options.stream.faulted() ? binding().workloadNumber(workload) : 0
    const permit = new Permit(path, bytes, nowUs + ttlMs * 1000)
    return sealPermit(
      permit,
      binding().mint(this.#options.gate, path.key, path.operation, bytes, ttlMs * 1e6, classNumber),
    )
  }
}

function closedError(): SeamError {
  return new SeamError('KVSEAM_CLOSED', {}, 'the seam is closed; open a new one with openSeam()')
}
