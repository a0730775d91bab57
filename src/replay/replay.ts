// Runs a recorded stream through the live policy code again: under its own configuration to prove that every record comes out
// the same, byte for byte, or under another one to see which decisions would have been different.
//
// Another configuration is judged open loop: the samples stay those that the recorded decisions led to. Where the replay sends
// a request elsewhere, its outcome there is not known, so the recorded one counts as evidence about the recorded path only.

import { SeamError } from '../errors.js'
import type { Policy, PolicyRequest } from '../policy/policy.js'
import type { PolicySettings } from '../policy/settings.js'
import type { WorkloadProfile } from '../policy/workload.js'
import type { DecisionRecord } from '../record/decision-record.js'
import type { ConfigRecord, PinRecord, SampleRecord } from '../record/event-records.js'
import type { LoggedRecord } from '../record/read-log.js'
import { RecordedPolicy, type StreamRecord } from '../record/recorded-policy.js'

/** What a replay runs under in place of what an epoch was recorded under. */
export interface Configured {
  readonly policy: Policy
  readonly settings: PolicySettings | null
}

export interface ReplayTerms {
  /** Policy for an epoch whose (first) configuration is given. */
  open(config: ConfigRecord): Configured
  /** Settings in place of those of a recorded reload; null keeps the ones in force. */
  reload(config: ConfigRecord): { settings: PolicySettings; hash: string } | null
  /** Each recorded record beside the replayed one; undefined where one side has none. Called in the order of the log. */
  compare?(recorded: string | undefined, replayed: string | undefined): void
  /** Each decision beside its replayed one. */
  decided?(recorded: DecisionRecord, replayed: DecisionRecord): void
}

/** Feed it the records of a log in order, then end(). */
export class Replay {
  readonly #terms: ReplayTerms
  #epoch: Epoch | undefined
  readonly #recorded: string[] = []
  readonly #replayed: string[] = []

  constructor(terms: ReplayTerms) {
    this.#terms = terms
  }

  /** @throws KVSEAM_RECORD_LOG when the record can't be applied: an epoch without its beginning, or an unknown path */
  feed({ json, record, line }: LoggedRecord): void {
    const typed = record as unknown as StreamRecord
    if (this.#epoch?.id !== typed.epoch) {
      this.end()
      if (typed.schema !== 'kvseam.config/1') {
        throw unusable(line, `epoch ${typed.epoch} does not begin with its kvseam.config/1`)
      }
    }
    this.#recorded.push(json)
    if (this.#epoch?.id !== typed.epoch) {
      this.#epoch = new Epoch(typed as ConfigRecord, this.#terms, (made) => this.#replayed.push(JSON.stringify(made)))
    } else {
      this.#epoch.apply(typed, line)
    }
    this.#drain(false)
  }

  end(): void {
    this.#epoch?.end()
    this.#drain(true)
  }

  #drain(all: boolean): void {
    const { compare } = this.#terms
    const both = Math.min(this.#recorded.length, this.#replayed.length)
    const most = all ? Math.max(this.#recorded.length, this.#replayed.length) : both
    for (let i = 0; i < most; i++) compare?.(this.#recorded[i], this.#replayed[i])
    this.#recorded.splice(0, most)
    this.#replayed.splice(0, most)
  }
}

/** One life of an orchestrator. */
class Epoch {
  readonly id: string
  readonly #terms: ReplayTerms
  readonly #policy: RecordedPolicy
  readonly #paths = new Map<string, number>()
  readonly #workloads = new Map<string, WorkloadProfile>()
  /** Recorded lease or ticket => replayed one. */
  readonly #leases = new Map<number, number>()
  readonly #tickets = new Map<number, number>()
  /** Replayed decisions that the log has not come to yet, by request number; a queued request has two. */
  readonly #ahead = new Map<number, DecisionRecord[]>()
  readonly #behind = new Map<number, DecisionRecord[]>()
  #label = ''
  #faulted = false

  constructor(config: ConfigRecord, terms: ReplayTerms, made: (record: StreamRecord) => void) {
    this.id = config.epoch
    this.#terms = terms
    const { policy, settings } = terms.open(config)
    const stream = {
      epoch: config.epoch,
      label: () => this.#label,
      faulted: () => this.#faulted,
      wanted: () => true,
      write: (record: StreamRecord) => {
        made(record)
        if (record.schema === 'kvseam.decision/1') this.#meet(record, 'replayed')
      },
    }
    this.#policy = new RecordedPolicy(policy, settings, stream, config.tUs)
  }

  apply(record: StreamRecord, line: number): void {
    const policy = this.#policy
    switch (record.schema) {
      case 'kvseam.config/1':
        this.#reload(record)
        return
      case 'kvseam.workload/1':
        this.#workloads.set(record.workload.name, record.workload)
        return
      case 'kvseam.path/1':
        this.#paths.set(record.path.id, policy.addPath(record.path, record.tUs))
        return
      case 'kvseam.sample/1':
        this.#observe(record, line)
        return
      case 'kvseam.decision/1':
        this.#decide(record)
        return
      case 'kvseam.tick/1':
        policy.tick(record.tUs, record.cause)
        return
      case 'kvseam.ticks/1':
        for (const tUs of record.at) policy.tick(tUs)
        return
      case 'kvseam.start/1':
      case 'kvseam.release/1': {
        const lease = this.#leases.get(record.id)
        if (lease === undefined && record.known) return // the replay granted nothing for that request
        if (record.schema === 'kvseam.start/1') policy.start(lease ?? record.id, record.tUs)
        else policy.release(lease ?? record.id, record.tUs)
        return
      }
      case 'kvseam.withdraw/1':
        policy.withdraw(this.#tickets.get(record.id) ?? record.id, record.tUs)
        return
      case 'kvseam.pin/1':
        this.#pin(record, line)
        return
      case 'kvseam.outcome/1':
      case 'kvseam.probe/1': {
        const { seq: _seq, tUs, epoch: _epoch, ...note } = record
        policy.note(() => note, tUs)
        return
      }
      case 'kvseam.surroundings/1':
        this.#label = record.label
        this.#faulted = record.faulted
        return
      case 'kvseam.transition/1': // an output: the replay makes its own
        return
    }
  }

  end(): void {
    this.#policy.flush()
  }

  #reload(config: ConfigRecord): void {
    const next = this.#terms.reload(config)
    if (next !== null) this.#policy.configure(next.settings, next.hash, config.tUs)
  }

  #observe(record: SampleRecord, line: number): void {
    const { schema: _schema, seq: _seq, tUs, epoch: _epoch, path, lease, ...figures } = record
    this.#policy.observe({ path: this.#index(path, line), leaseId: this.#leases.get(lease) ?? 0, ...figures }, tUs)
  }

  #pin(record: PinRecord, line: number): void {
    const path = this.#index(record.path, line)
    try {
      this.#policy.pin(path, record.state, record.reason, record.untilUs, record.tUs)
    } catch (error) {
      if (!SeamError.is(error, 'KVSEAM_NOT_SUPPORTED')) throw error // a profile without pins is replayed without them
    }
  }

  #decide(record: DecisionRecord): void {
    const { req } = record
    // A queued request is asked once; its second record is the answer that a tick gave.
    const isAnswer = record.ticket !== null && record.verdict !== 'queued'
    if (!isAnswer) {
      const request: PolicyRequest = {
        requestId: req.id,
        workload: this.#workloads.get(req.class)!,
        bytes: req.bytes,
        deadlineUs: req.deadlineUs,
        candidates: req.candidates,
        leaseUs: req.leaseUs,
        attempt: req.attempt,
        recomputeUs: req.recomputeUs,
        mayQueue: req.mayQueue,
        seq: this.#policy.nextSeq,
      }
      this.#policy.decide(request, record.tUs)
    }
    this.#meet(record, 'recorded')
  }

  /** Puts the recorded and the replayed decision of one request side by side, whichever comes first. */
  #meet(record: DecisionRecord, side: 'recorded' | 'replayed'): void {
    const [own, other] = side === 'recorded' ? [this.#behind, this.#ahead] : [this.#ahead, this.#behind]
    const { n } = record.req
    const partner = other.get(n)?.shift()
    if (partner === undefined) {
      const waiting = own.get(n) ?? []
      waiting.push(record)
      own.set(n, waiting)
      return
    }
    if (other.get(n)!.length === 0) other.delete(n)
    const [recorded, replayed] = side === 'recorded' ? [record, partner] : [partner, record]
    if (recorded.lease !== null && replayed.lease !== null && recorded.chosen === replayed.chosen) {
      this.#leases.set(recorded.lease, replayed.lease)
    }
    if (recorded.ticket !== null && replayed.ticket !== null) this.#tickets.set(recorded.ticket, replayed.ticket)
    this.#terms.decided?.(recorded, replayed)
  }

  #index(path: string, line: number): number {
    const index = this.#paths.get(path)
    if (index === undefined)
      throw unusable(line, `path ${JSON.stringify(path)} was never introduced by a kvseam.path/1`)
    return index
  }
}

function unusable(line: number, problem: string): SeamError {
  return new SeamError(
    'KVSEAM_RECORD_LOG',
    { line, problem },
    `line ${line}: ${problem}; a replay needs the log from its beginning`,
  )
}
