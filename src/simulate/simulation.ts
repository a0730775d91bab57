// Drives one policy through one run in virtual time: requests arrive, are judged, move over links that may be faulty, and settle.
// The policy is whatever implements Policy: the very object that production runs, or a baseline. The same rules for all:
//   - a transfer that fails is tried again at once, at most twice, without the paths it has failed on (unless none is left);
//   - a transfer is given up when `patience` times the request's time to its deadline has passed since it arrived;
//   - a rejected request is not tried again.

import { SeamError } from '../errors.js'
import type {
  PathDescription,
  Policy,
  PolicyDecision,
  PolicyRequest,
  SampleOutcome,
  TickResult,
} from '../policy/policy.js'
import { type DrawStream, streamOf, unitAt } from '../random.js'
import { DEMAND_CLASSES, type Demand } from './demand.js'
import { EventHeap, type SimulatedEvent } from './event-heap.js'
import { changesOf, type FaultInterval, type PathTruth, SPIKE_US, truthAt } from './fault.js'
import { type Discipline, Link } from './link.js'
import { PATH_BYTES_PER_US, pathDescriptions, START_US } from './scenario.js'
import { type RunScore, Score } from './score.js'

export interface RunOptions {
  /** Fresh, without paths. */
  readonly policy: Policy
  readonly demand: Demand
  readonly discipline: Discipline
  readonly faults: readonly FaultInterval[]
  readonly seed: number
  /** What the policy is told of the paths' rate over the true one; null tells it nothing. */
  readonly nominalFactor: number | null
  /** Fewer paths, an even number, and fewer transfers in flight on each than usual. */
  readonly paths?: number
  readonly sessions?: number
  /** See above; 4 unless told. 1 gives up at the deadline. */
  readonly patience?: number
  /** Whether requests may wait in the policy's queue; they may unless told. */
  readonly mayQueue?: boolean
  /** Compare predictions with what came; asks for every decision's explanation, which costs time. */
  readonly calibrate?: boolean
}

/** A path that refuses answers after this long. */
const REFUSAL_US = 1000
const MOST_ATTEMPTS = 3
/** What a lease may outlive its transfer's deadline by. */
const LEASE_GRACE_US = 2_000_000
/** The wire carries up to this share more or less than the bytes asked for: framing, pacing, jitter. */
const WIRE_NOISE = 0.02

const START = 0
const REFUSED = 1
const SERVED = 2
const GIVE_UP = 3
const TRUTH_CHANGES = 4

/** One attempt at a request's bytes, or a probe. */
interface Attempt {
  readonly id: number
  /** -1 for a probe. */
  readonly request: number
  readonly path: number
  /** On the wire. */
  readonly bytes: number
  readonly payloadBytes: number
  readonly leaseId: number
  readonly startedUs: number
  readonly stalls: boolean
  readonly corrupt: boolean
}

/** @throws SeamError KVSEAM_INVALID_ARGUMENT when a fault or the demand makes no sense; or when the policy breaks its contract on ticks */
export function simulate(options: RunOptions): RunScore {
  return new Simulation(options).run()
}

class Simulation {
  readonly #policy: Policy
  readonly #demand: Demand
  readonly #faults: readonly FaultInterval[]
  readonly #patience: number
  readonly #mayQueue: boolean
  readonly #calibrate: boolean
  readonly #score: Score
  readonly #heap = new EventHeap()
  readonly #links: Link<Attempt>[]
  readonly #truths: PathTruth[]
  readonly #attempts = new Map<number, Attempt>()
  readonly #queued = new Map<number, number>()
  /** By request: attempts so far, and the paths they failed on as bits. */
  readonly #tries: Uint8Array
  readonly #failedOn: Uint32Array
  readonly #draws: { wire: DrawStream; stall: DrawStream; corrupt: DrawStream; spike: DrawStream }
  readonly #descriptions: readonly PathDescription[]
  /** Those the policy knows, a new list when one is added. */
  #known: readonly number[] = []
  #nowUs = 0
  #lastId = 0
  #sequence = 0
  #unsettled: number

  constructor(options: RunOptions) {
    const { policy, demand, discipline, faults, seed, nominalFactor } = options
    this.#policy = policy
    this.#demand = demand
    this.#faults = faults
    this.#patience = options.patience ?? 4
    this.#mayQueue = options.mayQueue ?? true
    this.#calibrate = options.calibrate ?? false
    this.#descriptions = pathDescriptions(nominalFactor, options.paths, options.sessions)
    this.#links = this.#descriptions.map(() => new Link<Attempt>(discipline, PATH_BYTES_PER_US))
    this.#truths = this.#descriptions.map((_, path) => truthAt(faults, path, 0))
    this.#score = new Score(demand, faults)
    this.#introduce()
    this.#tries = new Uint8Array(demand.count)
    this.#failedOn = new Uint32Array(demand.count)
    this.#draws = {
      wire: streamOf(seed, 'wire-bytes'),
      stall: streamOf(seed, 'stalls'),
      corrupt: streamOf(seed, 'corruption'),
      spike: streamOf(seed, 'spikes'),
    }
    this.#unsettled = demand.count
    for (const atUs of changesOf(faults)) this.#heap.push(atUs, TRUTH_CHANGES, 0, 0)
  }

  run(): RunScore {
    const event: SimulatedEvent = { atUs: 0, kind: 0, a: 0, b: 0 }
    const { count, arrivalUs } = this.#demand
    let next = 0
    let events = 0
    while (this.#unsettled > 0) {
      const arrivesUs = next < count ? arrivalUs[next]! : Number.POSITIVE_INFINITY
      const happensUs = Math.min(arrivesUs, this.#heap.nextUs)
      const tickUs = this.#policy.nextTickUs()
      events++
      if (tickUs <= happensUs) {
        if (tickUs === Number.POSITIVE_INFINITY) throw this.#stuck()
        this.#nowUs = Math.max(this.#nowUs, Math.ceil(tickUs))
        this.#tick()
        continue
      }
      this.#nowUs = happensUs
      if (arrivesUs <= this.#heap.nextUs) {
        this.#ask(next++)
        continue
      }
      this.#heap.popInto(event)
      this.#happen(event)
    }
    return this.#score.finish(this.#nowUs, events)
  }

  #happen({ kind, a, b }: SimulatedEvent): void {
    switch (kind) {
      case START:
        this.#start(a)
        break
      case REFUSED:
        this.#settleIfThere(a, 'transport', 0)
        break
      case SERVED:
        this.#served(a, b)
        break
      case GIVE_UP:
        this.#giveUp(a)
        break
      default:
        this.#changeTruths()
    }
  }

  #ask(request: number): void {
    const { bytes, deadlineUs, classOf } = this.#demand
    const asked: PolicyRequest = {
      requestId: null,
      workload: DEMAND_CLASSES[classOf[request]!]!.workload,
      bytes: bytes[request]!,
      deadlineUs: deadlineUs[request]!,
      candidates: this.#candidates(request),
      leaseUs: Math.max(1, this.#giveUpUs(request) - this.#nowUs) + LEASE_GRACE_US,
      attempt: this.#tries[request]!,
      recomputeUs: null,
      mayQueue: this.#mayQueue,
      seq: this.#sequence++,
    }
    this.#answer(request, this.#policy.decide(asked, this.#nowUs))
  }

  #answer(request: number, decision: PolicyDecision): void {
    if (decision.verdict === 'admitted') {
      if (this.#calibrate) this.#score.predicted(request, this.#nowUs, decision.detail())
      this.#tries[request]!++
      this.#launch(request, decision.path, this.#demand.bytes[request]!, decision.leaseId, this.#giveUpUs(request))
      return
    }
    if (decision.verdict === 'queued') {
      this.#queued.set(decision.ticket, request)
      return
    }
    this.#unsettled--
    this.#score.rejected(request, decision.outcome)
  }

  #launch(request: number, path: number, payloadBytes: number, leaseId: number, untilUs: number): void {
    const id = ++this.#lastId
    const truth = this.#truths[path]!
    const noise = 1 + WIRE_NOISE * (2 * unitAt(this.#draws.wire, id) - 1)
    const draw = request < 0 ? id : request * MOST_ATTEMPTS + this.#tries[request]!
    this.#attempts.set(id, {
      id,
      request,
      path,
      bytes: (payloadBytes * noise) / (request < 0 ? 1 : truth.payloadShare),
      payloadBytes,
      leaseId,
      startedUs: this.#nowUs,
      stalls: unitAt(this.#draws.stall, draw) < truth.stallShare,
      corrupt: unitAt(this.#draws.corrupt, draw) < truth.corruptShare,
    })
    if (request >= 0) this.#score.launched(path, this.#nowUs)
    const lateUs = truth.delayUs + (unitAt(this.#draws.spike, draw) < truth.spikeShare ? SPIKE_US : 0)
    if (truth.refuses) this.#heap.push(this.#nowUs + REFUSAL_US, REFUSED, id, 0)
    else this.#heap.push(this.#nowUs + START_US + lateUs, START, id, 0)
    this.#heap.push(Math.max(untilUs, this.#nowUs + 1), GIVE_UP, id, 0)
  }

  #start(id: number): void {
    const attempt = this.#attempts.get(id)
    if (attempt === undefined || attempt.stalls) return
    if (this.#truths[attempt.path]!.refuses) {
      this.#settle(attempt, 'transport', 0)
      return
    }
    this.#links[attempt.path]!.add(attempt, this.#nowUs)
    this.#expect(attempt.path)
  }

  #served(path: number, version: number): void {
    const link = this.#links[path]!
    if (link.version !== version) return
    for (const attempt of link.finish(this.#nowUs)) {
      this.#settle(attempt, attempt.corrupt ? 'corrupt' : 'ok', attempt.bytes)
    }
    this.#expect(path)
  }

  #giveUp(id: number): void {
    const attempt = this.#attempts.get(id)
    if (attempt === undefined) return
    const served = this.#links[attempt.path]!.remove(attempt, this.#nowUs)
    this.#settle(attempt, 'timeout', served)
    this.#expect(attempt.path)
  }

  /** Puts the link's next completion into the calendar; older entries carry an older version and are void. */
  #expect(path: number): void {
    const link = this.#links[path]!
    const atUs = link.nextUs()
    if (atUs !== Number.POSITIVE_INFINITY) this.#heap.push(atUs, SERVED, path, link.version)
  }

  #settleIfThere(id: number, outcome: SampleOutcome, servedBytes: number): void {
    const attempt = this.#attempts.get(id)
    if (attempt !== undefined) this.#settle(attempt, outcome, servedBytes)
  }

  #settle(attempt: Attempt, outcome: SampleOutcome, servedBytes: number): void {
    const { id, request, path, payloadBytes, leaseId, startedUs } = attempt
    this.#attempts.delete(id)
    const moved = outcome === 'ok'
    const servedShare = Math.min(1, servedBytes / attempt.bytes)
    const measured = moved && this.#truths[path]!.unmeasured ? 'telemetry_missing' : outcome
    const probe = request < 0
    const transitions = this.#policy.observe(
      {
        path,
        leaseId,
        outcome: measured,
        totalUs: this.#nowUs - startedUs,
        bytes: payloadBytes,
        dropFraction: moved ? 0 : 1 - servedShare,
        source: probe ? 'probe' : 'transfer',
        selfDelayed: false,
      },
      this.#nowUs,
    )
    this.#score.transitions(transitions, this.#nowUs)
    if (!probe) this.#policy.release(leaseId, this.#nowUs)
    this.#score.settled(path, request, moved, payloadBytes * servedShare, this.#nowUs)
    if (!probe) this.#conclude(request, path, moved)
    if (this.#queued.size > 0) this.#tick()
  }

  #conclude(request: number, path: number, moved: boolean): void {
    if (moved) {
      this.#unsettled--
      this.#score.done(request, path, this.#nowUs)
      return
    }
    this.#failedOn[request]! |= 1 << path
    if (this.#tries[request]! < MOST_ATTEMPTS && this.#nowUs < this.#giveUpUs(request)) {
      this.#ask(request)
      return
    }
    this.#unsettled--
    this.#score.failed(request)
  }

  #tick(): void {
    const result: TickResult = this.#policy.tick(this.#nowUs)
    this.#score.transitions(result.transitions, this.#nowUs)
    for (const { ticket, decision } of [...result.granted, ...result.abandoned]) {
      const request = this.#queued.get(ticket)
      if (request === undefined) continue
      this.#queued.delete(ticket)
      this.#answer(request, decision)
    }
    for (const { path, bytes, timeoutUs } of result.probesDue) {
      this.#launch(-1, path, bytes, 0, this.#nowUs + timeoutUs)
    }
    if (this.#policy.nextTickUs() > this.#nowUs) return
    // The contract says that a tick leaves nothing due; without this check a breach would hang the run.
    throw new SeamError(
      'KVSEAM_INVALID_ARGUMENT',
      { profile: this.#policy.profile, nowUs: this.#nowUs, nextTickUs: this.#policy.nextTickUs() },
      `profile '${this.#policy.profile}' wants a tick that is not ahead of the last one; nextTickUs() must move on`,
    )
  }

  #changeTruths(): void {
    for (let path = 0; path < this.#truths.length; path++) {
      const before = this.#truths[path]!
      const truth = truthAt(this.#faults, path, this.#nowUs)
      this.#truths[path] = truth
      const link = this.#links[path]!
      if (truth.rateShare !== before.rateShare) link.setRate(PATH_BYTES_PER_US * truth.rateShare, this.#nowUs)
      if (truth.refuses && !before.refuses) {
        for (const attempt of link.clear(this.#nowUs)) this.#settle(attempt, 'transport', 0)
      }
      this.#expect(path)
    }
    this.#introduce()
  }

  /** Makes the paths that are there, and were not, known to the policy; its indices are ours. */
  #introduce(): void {
    while (this.#known.length < this.#descriptions.length && !this.#truths[this.#known.length]!.absent) {
      const path = this.#policy.addPath(this.#descriptions[this.#known.length]!, this.#nowUs)
      this.#known = [...this.#known, path]
      this.#score.introduced(path, this.#policy.snapshot(path).state)
    }
  }

  #candidates(request: number): readonly number[] {
    const failedOn = this.#failedOn[request]!
    if (failedOn === 0) return this.#known
    const left = this.#known.filter((path) => (failedOn & (1 << path)) === 0)
    return left.length === 0 ? this.#known : left
  }

  #giveUpUs(request: number): number {
    const { arrivalUs, deadlineUs } = this.#demand
    return Math.ceil(arrivalUs[request]! + this.#patience * (deadlineUs[request]! - arrivalUs[request]!))
  }

  #stuck(): SeamError {
    return new SeamError(
      'KVSEAM_INVALID_ARGUMENT',
      { profile: this.#policy.profile, queued: this.#queued.size, unsettled: this.#unsettled },
      `profile '${this.#policy.profile}' holds ${this.#queued.size} queued requests and wants no tick; they would wait for ever`,
    )
  }
}
