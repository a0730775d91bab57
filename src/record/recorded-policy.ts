// A policy whose every input and output is a record. The orchestrator drives it live and a replay drives it again, so both
// make the same records from the same inputs, byte for byte.

import type {
  PathDescription,
  PathState,
  Policy,
  PolicyDecision,
  PolicyRequest,
  Sample,
  TickResult,
  Transition,
} from '../policy/policy.js'
import type { PolicySettings } from '../policy/settings.js'
import type { WorkloadProfile } from '../policy/workload.js'
import { type DecisionRecord, decisionRecord, type TransitionRecord, transitionRecord } from './decision-record.js'
import type { EventHead, EventRecord, LeaseRecord, OutcomeRecord, TickRecord } from './event-records.js'
import type { ProbeRecord } from './probe-record.js'

export type StreamRecord = EventRecord | DecisionRecord | TransitionRecord

/** Who gets the records, and what they say of the world around the policy. */
export interface RecordStream {
  readonly epoch: string
  /** Where the paths' figures come from: `mock`, `emulated` or `real`. */
  label(): string
  /** Whether faults are being injected now. */
  faulted(): boolean
  /** False while nobody looks: then no record is built. */
  wanted(): boolean
  write(record: StreamRecord): void
}

/** A record without its head. */
export type Note = Omit<OutcomeRecord, keyof EventHead> | Omit<ProbeRecord, keyof EventHead>

/** A decision with its record, which is built on first look. */
export class RecordedDecision {
  readonly request: PolicyRequest
  readonly decision: PolicyDecision
  /** Of the place in line that the decision gave or answers; 0 for none. */
  readonly #ticket: number
  readonly #head: EventHead
  readonly #surroundings: { readonly label: string; readonly faulted: boolean }
  readonly #policy: { readonly profile: string; readonly configHash: string }
  #record: DecisionRecord | undefined

  constructor(
    head: EventHead,
    surroundings: { label: string; faulted: boolean },
    policy: { profile: string; configHash: string },
    request: PolicyRequest,
    decision: PolicyDecision,
    ticket: number,
  ) {
    this.#ticket = ticket
    this.#head = head
    this.#surroundings = surroundings
    this.#policy = policy
    this.request = request
    this.decision = decision
  }

  get record(): DecisionRecord {
    this.#record ??= decisionRecord(
      this.#head,
      this.#surroundings,
      this.#policy,
      this.request,
      this.decision,
      this.#ticket,
    )
    return this.#record
  }
}

/** As TickResult, with each queued request's answer as a recorded decision. */
export interface RecordedTick extends TickResult {
  readonly answers: readonly { readonly ticket: number; readonly answer: RecordedDecision }[]
}

/** A minute of them at four a second: an idle seam writes a line a minute. */
const MOST_QUIET_TICKS = 240

const NO_ANSWERS: RecordedTick['answers'] = Object.freeze([])

export class RecordedPolicy {
  readonly #policy: Policy
  readonly #stream: RecordStream
  readonly #ids: string[] = []
  readonly #known = new Map<string, { profile: WorkloadProfile; json: string }>()
  #seq = 0
  #decisions = 0
  #quietTicks: number[] = []
  #identity = { profile: '', configHash: '' }
  #surroundings: { readonly label: string; readonly faulted: boolean } = { label: '', faulted: false }

  /** @param settings null for a profile without settings */
  constructor(policy: Policy, settings: PolicySettings | null, stream: RecordStream, nowUs: number) {
    this.#policy = policy
    this.#stream = stream
    this.#configured(settings, nowUs)
  }

  get profile(): string {
    return this.#policy.profile
  }

  get configHash(): string {
    return this.#policy.configHash
  }

  /** For the next request; each decision has its own. */
  get nextSeq(): number {
    return this.#decisions + 1
  }

  addPath(path: PathDescription, nowUs: number): number {
    const index = this.#policy.addPath(path, nowUs)
    this.#ids[index] = path.id
    if (this.#noted()) this.#stream.write({ schema: 'kvseam.path/1', ...this.#head(nowUs), index, path })
    return index
  }

  observe(sample: Sample, nowUs: number): readonly Transition[] {
    this.#lookAround(nowUs)
    const transitions = this.#policy.observe(sample, nowUs)
    if (this.#noted()) {
      const { path, leaseId, ...figures } = sample
      const head = this.#head(nowUs)
      this.#stream.write({ schema: 'kvseam.sample/1', ...head, path: this.#ids[path]!, lease: leaseId, ...figures })
    }
    if (transitions.length > 0) this.#announce(transitions, nowUs)
    return transitions
  }

  /** The caller ticks first when nextTickUs() says so: a decision must not rest on what was due before it. */
  decide(request: PolicyRequest, nowUs: number): RecordedDecision {
    this.#lookAround(nowUs)
    this.#introduce(request.workload, nowUs)
    this.#decisions = request.seq
    return this.#judged(request, this.#policy.decide(request, nowUs), nowUs)
  }

  /** The record that `decide` would make; takes nothing, leaves no trace. */
  explain(request: PolicyRequest, nowUs: number): DecisionRecord {
    const stream = this.#stream
    return decisionRecord(
      { seq: this.#seq + 1, tUs: nowUs, epoch: stream.epoch },
      { label: stream.label(), faulted: stream.faulted() },
      this.#policy,
      request,
      this.#policy.explain(request, nowUs),
    )
  }

  start(lease: number, nowUs: number): boolean {
    return this.#lease('kvseam.start/1', lease, this.#policy.start(lease, nowUs), nowUs)
  }

  release(lease: number, nowUs: number): boolean {
    return this.#lease('kvseam.release/1', lease, this.#policy.release(lease, nowUs), nowUs)
  }

  withdraw(ticket: number, nowUs: number): boolean {
    return this.#lease('kvseam.withdraw/1', ticket, this.#policy.withdraw(ticket, nowUs), nowUs)
  }

  tick(nowUs: number, cause: TickRecord['cause'] = 'timer'): RecordedTick {
    return this.#tick(cause, nowUs)
  }

  nextTickUs(): number {
    return this.#policy.nextTickUs()
  }

  pin(path: number, state: PathState | null, reason: string, untilUs: number, nowUs: number): readonly Transition[] {
    this.#lookAround(nowUs)
    const transitions = this.#policy.pin(path, state, reason, untilUs, nowUs)
    if (this.#noted()) {
      const head = this.#head(nowUs)
      this.#stream.write({ schema: 'kvseam.pin/1', ...head, path: this.#ids[path]!, state, reason, untilUs })
    }
    this.#announce(transitions, nowUs)
    return transitions
  }

  /** For the log only, like a note: the policy learns of a transfer or a probe by observe(). */
  note(body: () => Note, nowUs: number): void {
    if (!this.#noted()) return
    const { schema, ...rest } = body()
    this.#stream.write({ schema, ...this.#head(nowUs), ...rest } as StreamRecord)
  }

  configure(settings: PolicySettings, hash: string, nowUs: number): void {
    this.#policy.configure(settings, hash)
    this.#configured(settings, nowUs)
  }

  /** Writes what was held back; before the stream ends. */
  flush(): void {
    const at = this.#quietTicks
    const last = at.at(-1)
    if (last === undefined) return
    this.#quietTicks = []
    if (this.#noted()) this.#stream.write({ schema: 'kvseam.ticks/1', ...this.#head(last), at })
  }

  snapshot(path: number): ReturnType<Policy['snapshot']> {
    return this.#policy.snapshot(path)
  }

  #lookAround(nowUs: number): void {
    const label = this.#stream.label()
    const faulted = this.#stream.faulted()
    if (label === this.#surroundings.label && faulted === this.#surroundings.faulted) return
    this.#surroundings = { label, faulted }
    if (this.#noted()) this.#stream.write({ schema: 'kvseam.surroundings/1', ...this.#head(nowUs), label, faulted })
  }

  #configured(settings: PolicySettings | null, nowUs: number): void {
    this.#identity = { profile: this.#policy.profile, configHash: this.#policy.configHash }
    if (!this.#noted()) return
    const { profile, configHash } = this.#policy
    this.#stream.write({ schema: 'kvseam.config/1', ...this.#head(nowUs), profile, policyHash: configHash, settings })
  }

  /** The terms of a class stand in the stream before the first request of it. */
  #introduce(workload: WorkloadProfile, nowUs: number): void {
    const known = this.#known.get(workload.name)
    if (known?.profile === workload) return
    const json = JSON.stringify(workload)
    this.#known.set(workload.name, { profile: workload, json })
    if (known?.json === json) return
    if (this.#noted()) this.#stream.write({ schema: 'kvseam.workload/1', ...this.#head(nowUs), workload })
  }

  #lease(schema: LeaseRecord['schema'], id: number, known: boolean, nowUs: number): boolean {
    if (this.#noted()) this.#stream.write({ schema, ...this.#head(nowUs), id, known })
    return known
  }

  #tick(cause: TickRecord['cause'], nowUs: number): RecordedTick {
    this.#lookAround(nowUs)
    const result = this.#policy.tick(nowUs)
    const { expiredLeases, probesDue, alarms, transitions, granted, abandoned } = result
    const happened =
      expiredLeases.length + probesDue.length + alarms.length + transitions.length + granted.length + abandoned.length >
      0
    if (!happened) this.#quiet(nowUs)
    if (happened && this.#noted()) {
      const head = this.#head(nowUs)
      this.#stream.write({ schema: 'kvseam.tick/1', ...head, cause, expiredLeases, probesDue, alarms })
    }
    if (transitions.length > 0) this.#announce(transitions, nowUs)
    const answers = happened
      ? [...granted, ...abandoned].map(({ ticket, request, decision }) => ({
          ticket,
          answer: this.#judged(request, decision, nowUs, ticket),
        }))
      : NO_ANSWERS
    return { ...result, answers }
  }

  #judged(request: PolicyRequest, decision: PolicyDecision, nowUs: number, ticket = decision.ticket): RecordedDecision {
    const wanted = this.#noted()
    const judged = new RecordedDecision(
      this.#head(nowUs),
      this.#surroundings,
      this.#identity,
      request,
      decision,
      ticket,
    )
    if (wanted) this.#stream.write(judged.record)
    return judged
  }

  #announce(transitions: readonly Transition[], nowUs: number): void {
    for (const transition of transitions) {
      if (!this.#noted()) continue
      const head = this.#head(nowUs)
      this.#stream.write(transitionRecord(head, this.#surroundings.faulted, this.#ids[transition.path]!, transition))
    }
  }

  #quiet(nowUs: number): void {
    if (!this.#stream.wanted()) return
    this.#quietTicks.push(nowUs)
    if (this.#quietTicks.length === MOST_QUIET_TICKS) this.flush()
  }

  /** Counts a record; says whether somebody wants to see it. */
  #noted(): boolean {
    const wanted = this.#stream.wanted()
    if (this.#quietTicks.length > 0) this.flush()
    this.#seq++
    return wanted
  }

  /** Of the record that was noted last. */
  #head(nowUs: number): EventHead {
    return { seq: this.#seq, tUs: nowUs, epoch: this.#stream.epoch }
  }
}
