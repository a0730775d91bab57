// The only stateful file of the policy side: owns the clock, feeds samples in, mints permits, writes records. It judges
// through a pure policy object and never touches bytes.

import { refuse, wholeNumber } from './check.js'
import { didYouMean } from './did-you-mean.js'
import { SeamError } from './errors.js'
import { binding, type GateCounters } from './native/binding.js'
import { decisionChannel, pathStateChannel, probeChannel, sampleChannel } from './observe/channels.js'
import type { Path, PathTable } from './paths.js'
import { Permit, permitNumber, sealPermit } from './permit.js'
import type { Policy, PolicyDecision, PolicyRequest, ProbeDue, SampleOutcome, Transition } from './policy/policy.js'
import type { ProbeScheduleRules } from './policy/probe-schedule.js'
import type { WorkloadProfile } from './policy/workload.js'
import { type BackgroundCounters, BackgroundProbes } from './probe/background-probes.js'
import { PathProber } from './probe/path-prober.js'
import type { ProbeOptions } from './probe/probe-options.js'
import type { ProbeReport } from './probe/probe-report.js'
import { type DecisionRecord, decisionRecord, type RecordContext, transitionRecord } from './record/decision-record.js'
import { probeRecord } from './record/probe-record.js'
import type { RecordLog } from './record/record-log.js'

/** Leases outlive their request's deadline by this much, so that a late settle still finds its lease. */
const LEASE_GRACE_US = 2_000_000
const TICK_MS = 250

export interface DecideRequest {
  /** Name of a workload class of the seam, or a profile of its own. */
  readonly workload: string | WorkloadProfile
  readonly bytes: number
  /** Name of the agent that has the blocks. */
  readonly from: string
  /** Agents that could take them; every connected one unless told. */
  readonly to?: readonly string[]
  /** From now; the seam's default unless told. */
  readonly deadlineMs?: number
  readonly requestId?: string
  /** Path ids that must not be used, e.g. one that has just failed. */
  readonly exclude?: readonly string[]
}

export interface Admitted {
  readonly outcome: 'admitted'
  readonly path: Path
  readonly permit: Permit
  /** Session lease; give it back with `policy.release()` unless `seam.transfer()` does. */
  readonly lease: number
  readonly record: DecisionRecord
}

export interface Rejected {
  readonly outcome: 'rejected'
  readonly record: DecisionRecord
}

export type Decision = Admitted | Rejected

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
  readonly gate: number
  readonly paths: PathTable
  readonly workloads: ReadonlyMap<string, WorkloadProfile>
  /** Microseconds, whole, never going back. */
  readonly clockUs: () => number
  readonly epoch: string
  /** Where the paths' figures come from, as the backend says. */
  readonly label: () => string
  /** Whether faults are being injected now. */
  readonly faulted: () => boolean
  readonly defaultDeadlineMs: number
  readonly permitTtlMs: number
  /** Undefined: nothing is probed in the background. */
  readonly probes: ProbeScheduleRules | undefined
  readonly log: RecordLog | undefined
}

/** Builds its record on first look, so that an unread and unlogged record costs nothing. */
class Outcome {
  readonly outcome: 'admitted' | 'rejected'
  readonly path: Path | undefined
  readonly permit: Permit | undefined
  readonly lease: number
  readonly #context: RecordContext
  readonly #request: PolicyRequest
  readonly #decision: PolicyDecision
  #record: DecisionRecord | undefined

  constructor(
    context: RecordContext,
    request: PolicyRequest,
    decision: PolicyDecision,
    path: Path | undefined,
    permit: Permit | undefined,
  ) {
    this.outcome = decision.verdict === 'admitted' ? 'admitted' : 'rejected'
    this.path = path
    this.permit = permit
    this.lease = decision.leaseId
    this.#context = context
    this.#request = request
    this.#decision = decision
  }

  get record(): DecisionRecord {
    this.#record ??= decisionRecord(this.#context, this.#request, this.#decision)
    return this.#record
  }
}

export class Orchestrator {
  readonly #options: OrchestratorOptions
  readonly #byIndex: Path[] = []
  readonly #timer: NodeJS.Timeout
  readonly #prober: PathProber
  readonly #background: BackgroundProbes | undefined
  /** Probes that the policy asked for while it judged; run at the next tick, off the path of a decision. */
  readonly #wanted: ProbeDue[] = []
  #seq = 0
  #admitted = 0
  #rejected = 0
  #closed = false

  /** @internal Use `seam.policy`. */
  constructor(options: OrchestratorOptions) {
    this.#options = options
    this.#prober = new PathProber({
      gate: options.gate,
      permitTtlMs: options.permitTtlMs,
      profile: options.policy.profile,
      faulted: options.faulted,
      assertOpen: () => void this.#now(),
      isOpen: () => !this.#closed,
      record: (report, cause, observed) => {
        if (options.log === undefined && !probeChannel.hasSubscribers) return
        const record = probeRecord(this.#context(this.#now()), report, cause, observed)
        options.log?.write(record)
        probeChannel.publish(record)
      },
      observe: (observation) => this.observe(observation),
    })
    if (options.probes !== undefined) {
      this.#background = new BackgroundProbes({
        rules: options.probes,
        scheduled: options.policy.profile === 'reference',
        clockUs: options.clockUs,
        run: (path, asked, cause) => this.#prober.probe(path, asked, cause),
      })
    }
    this.#timer = setInterval(() => this.#tick(), TICK_MS)
    this.#timer.unref()
  }

  get profile(): string {
    return this.#options.policy.profile
  }

  get counters(): {
    admitted: number
    rejected: number
    permits: GateCounters
    /** Null when nothing is probed in the background. */
    probes: BackgroundCounters | null
  } {
    return {
      admitted: this.#admitted,
      rejected: this.#rejected,
      permits: binding().gateCounters(this.#options.gate),
      probes: this.#background?.counters ?? null,
    }
  }

  /** Judges one request. "No" is an answer, not an exception; only a request that makes no sense throws. */
  decide(request: DecideRequest): Decision {
    const nowUs = this.#now()
    const judged = this.#request(request, nowUs)
    const decision = this.#options.policy.decide(judged, nowUs)
    const context = this.#context(nowUs)
    if (decision.verdict !== 'admitted') {
      this.#rejected++
      return this.#publish(new Outcome(context, judged, decision, undefined, undefined) as Rejected)
    }
    const path = this.#byIndex[decision.path]!
    let permit: Permit
    try {
      permit = this.#mint(path, judged, nowUs)
    } catch (error) {
      this.#options.policy.release(decision.leaseId, nowUs)
      throw error
    }
    this.#admitted++
    return this.#publish(new Outcome(context, judged, decision, path, permit) as Admitted)
  }

  /** The record that `decide` would write now; takes no capacity and gives no permit. */
  explain(request: DecideRequest): DecisionRecord {
    const nowUs = this.#now()
    const judged = this.#request(request, nowUs)
    return decisionRecord(this.#context(nowUs), judged, this.#options.policy.explain(judged, nowUs))
  }

  /**
   * Feeds one measured outcome.
   * @throws KVSEAM_NO_PATH for an unknown path, KVSEAM_INVALID_ARGUMENT for impossible figures; nothing changes then
   */
  observe(observation: Observation): void {
    const path = this.#options.paths.get(observation.path)
    if (path === undefined) {
      throw new SeamError(
        'KVSEAM_NO_PATH',
        { path: observation.path },
        `path ${JSON.stringify(observation.path)} is not known here${didYouMean(
          observation.path,
          [...this.#options.paths].map((known) => known.id),
        )}; connect the agents first`,
      )
    }
    const nowUs = this.#now()
    const transitions = this.#options.policy.observe(
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
    if (observation.source !== 'probe') this.#background?.payload(path, nowUs)
    if (sampleChannel.hasSubscribers) sampleChannel.publish(observation)
    this.#announce(transitions, nowUs)
  }

  /** @internal Use `path.probe()`. */
  async probe(path: Path, options: ProbeOptions): Promise<ProbeReport> {
    return await this.#prober.probe(path, options, 'asked')
  }

  /** Gives a session back. False when the lease is unknown, expired or given back already. */
  release(lease: number): boolean {
    return this.#options.policy.release(lease, this.#now())
  }

  /** @internal As observe(), but a seam closed meanwhile learns nothing more and raises nothing. */
  observeQuietly(observation: Observation): void {
    if (!this.#closed) this.observe(observation)
  }

  /** @internal As release(), but also right after close(), when leases mean nothing any more. */
  releaseQuietly(lease: number): void {
    if (!this.#closed) this.release(lease)
  }

  /** @internal */
  register(path: Path): void {
    this.#byIndex[path.policyIndex] = path
    this.#background?.add(path, this.#now())
  }

  /** A decision whose transfer will not be posted: permit and session go back. */
  abandon(decision: Admitted): void {
    if (!this.#closed) binding().revoke(this.#options.gate, permitNumber(decision.permit))
    this.releaseQuietly(decision.lease)
  }

  /** @internal */
  close(): void {
    this.#closed = true
    clearInterval(this.#timer)
  }

  #now(): number {
    if (this.#closed) throw new SeamError('KVSEAM_CLOSED', {}, 'the seam is closed; open a new one with openSeam()')
    return this.#options.clockUs()
  }

  #tick(): void {
    const nowUs = this.#now()
    const wanted = [...this.#wanted, ...this.#advance(nowUs)]
    this.#wanted.length = 0
    this.#background?.tick(wanted, (index) => this.#byIndex[index]!, nowUs)
  }

  /** Lets the policy do what is due; returns the probes that it wants. */
  #advance(nowUs: number): readonly ProbeDue[] {
    const { transitions, probesDue } = this.#options.policy.tick(nowUs)
    this.#announce(transitions, nowUs)
    return probesDue
  }

  #announce(transitions: readonly Transition[], nowUs: number): void {
    if (this.#options.log === undefined && !pathStateChannel.hasSubscribers) return
    for (const transition of transitions) {
      const record = transitionRecord(this.#context(nowUs), this.#byIndex[transition.path]!.id, transition)
      this.#options.log?.write(record)
      pathStateChannel.publish(record)
    }
  }

  #context(tUs: number): RecordContext {
    const { epoch, policy, label, faulted } = this.#options
    return { seq: ++this.#seq, tUs, epoch, profile: policy.profile, label: label(), faulted: faulted() }
  }

  #request(request: DecideRequest, nowUs: number): PolicyRequest {
    const bytes = wholeNumber('bytes', request.bytes)
    const deadlineUs = nowUs + Math.round(this.#deadlineMs(request.deadlineMs) * 1000)
    this.#wanted.push(...this.#advance(nowUs))
    return {
      requestId: request.requestId ?? null,
      workload: this.#workload(request.workload),
      bytes,
      deadlineUs,
      candidates: this.#candidates(request),
      leaseUs: deadlineUs - nowUs + LEASE_GRACE_US,
      attempt: 0,
      recomputeUs: null,
      mayQueue: false,
      seq: this.#seq + 1,
    }
  }

  #deadlineMs(value: number | undefined): number {
    if (value === undefined) return this.#options.defaultDeadlineMs
    if (typeof value !== 'number' || !(value > 0 && value <= 86_400_000)) {
      throw refuse('KVSEAM_OUT_OF_BOUNDS', 'deadlineMs', value, 'it must be above 0 and at most 86400000')
    }
    return value
  }

  #workload(workload: string | WorkloadProfile): WorkloadProfile {
    if (typeof workload !== 'string') return workload
    const known = this.#options.workloads.get(workload)
    if (known !== undefined) return known
    const names = [...this.#options.workloads.keys()]
    throw new SeamError(
      'KVSEAM_UNKNOWN_WORKLOAD',
      { workload, known: names },
      `workload ${JSON.stringify(workload)} is not known${didYouMean(workload, names)}; known are ${names.join(', ')}, others go into openSeam({ workloads })`,
    )
  }

  #candidates(request: DecideRequest): number[] {
    const { from, to, exclude } = request
    const indices: number[] = []
    for (const path of this.#byIndex) {
      if (path.from !== from || (to !== undefined && !to.includes(path.to))) continue
      if (exclude?.includes(path.id) === true || !path.usable) continue
      indices.push(path.policyIndex)
    }
    if (indices.length === 0) {
      throw new SeamError(
        'KVSEAM_NO_PATH',
        { from, to: to ?? null, exclude: exclude ?? [] },
        `no usable path leads from '${from}' to ${to === undefined ? 'any agent' : to.join(', ')}; connect the agents, or exclude less`,
      )
    }
    return indices
  }

  #mint(path: Path, { bytes, workload }: PolicyRequest, nowUs: number): Permit {
    const ttlMs = this.#options.permitTtlMs
    // Only fault rules ask natively for the class of a transfer.
    const classNumber = this.#options.faulted() ? binding().workloadNumber(workload.name) : 0
    const permit = new Permit(path, bytes, nowUs + ttlMs * 1000)
    return sealPermit(
      permit,
      binding().mint(this.#options.gate, path.key, path.operation, bytes, ttlMs * 1e6, classNumber),
    )
  }

  #publish<T extends Decision>(decision: T): T {
    this.#options.log?.write(decision.record)
    if (decisionChannel.hasSubscribers) decisionChannel.publish(decision.record)
    return decision
  }
}
