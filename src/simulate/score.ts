// What a run is judged by: which requests were on time, what was lost, and how well the policy knew the truth about the paths.

import type { DecisionDetail, PathState, Transition } from '../policy/policy.js'
import { murmur3 } from '../random.js'
import { DEMAND_CLASSES, type Demand } from './demand.js'
import { blamable, type FaultInterval } from './fault.js'
import { PATH_BYTES_PER_US, PATHS, START_US } from './scenario.js'

/** A quarantine this long after the fault is still the fault's: the longest hold of the default profile, and a minute of proof. */
const BLAME_GRACE_US = 120_000_000

interface ClassScore {
  readonly requests: number
  /** Served, whole and right, by the deadline. */
  readonly onTime: number
}

export interface RunScore {
  readonly requests: number
  readonly onTime: number
  /** By place in DEMAND_CLASSES. */
  readonly classes: readonly ClassScore[]
  readonly rejected: number
  /** By the policy's outcome code. */
  readonly rejections: Readonly<Record<string, number>>
  /** Given up, or failed as often as it may. */
  readonly failed: number
  /** Bytes on time over bytes offered, 0..1. */
  readonly goodput: number
  /** Time over the idle path's time, 99th percentile of the requests that were served, late ones included. */
  readonly p99Slowdown: number
  /** Bytes moved for attempts that served nobody, over bytes offered. */
  readonly wastedShare: number
  /** Bytes of probes over bytes offered. */
  readonly probeShare: number
  readonly probes: number
  readonly transitions: number
  readonly transitionsPerHour: number
  /** Path-seconds in quarantine (candidates included) without a fault on the path to explain them. */
  readonly falseQuarantineSeconds: number
  /** How often a path entered quarantine without such a fault. */
  readonly falseQuarantines: number
  /** Fault's beginning to the first state worse than before on a faulty path, mean over faulty paths; null: never. Seconds. */
  readonly detectSeconds: number | null
  /** Fault's end to the path's being healthy (or unknown) again, mean over faulty paths; null: never left, or never back. */
  readonly recoverSeconds: number | null
  /** Failed attempts on the worst path while it was faulty. */
  readonly worstPathLosses: number
  /** Share of requests that took no longer than predicted at the class's quantile; null unless asked for. */
  readonly withinPrediction: number | null
  /** Median of the factor, at least 1, between the actual and the predicted median time; null unless asked for. */
  readonly predictionFactor: number | null
  readonly events: number
  readonly simulatedSeconds: number
  /** Of who went where and how it ended: equal digests, equal runs. */
  readonly digest: number
}

const SEVERITY: Record<PathState, number> = {
  healthy: 0,
  unknown: 0,
  restored: 1,
  degraded_usable: 2,
  degraded_restricted: 3,
  quarantine_candidate: 4,
  quarantined: 5,
}

export class Score {
  readonly #demand: Demand
  readonly #faults: readonly FaultInterval[]
  readonly #states = new Array<PathState>(PATHS).fill('healthy')
  readonly #quarantinedFrom = new Array<number>(PATHS).fill(0)
  readonly #detectedUs = new Array<number | null>(PATHS).fill(null)
  readonly #recoveredUs = new Array<number | null>(PATHS).fill(null)
  readonly #losses = new Array<number>(PATHS).fill(0)
  readonly #onTime: number[] = DEMAND_CLASSES.map(() => 0)
  readonly #slowdowns: number[] = []
  readonly #predictions = new Map<number, { atUs: number; p50Us: number; quantileUs: number }>()
  readonly #factors: number[] = []
  readonly #rejections = new Map<string, number>()
  #within = 0
  #rejected = 0
  #failed = 0
  #onTimeBytes = 0
  #movedBytes = 0
  #servedBytes = 0
  #probeBytes = 0
  #probes = 0
  #transitions = 0
  #falseQuarantines = 0
  #falseQuarantineUs = 0
  #digest = 0

  constructor(demand: Demand, faults: readonly FaultInterval[]) {
    this.#demand = demand
    this.#faults = faults
  }

  introduced(path: number, state: PathState): void {
    this.#states[path] = state
  }

  launched(path: number, nowUs: number): void {
    this.#mix(path, nowUs)
  }

  /** An attempt or (request -1) a probe ended. */
  settled(path: number, request: number, moved: boolean, servedBytes: number, nowUs: number): void {
    this.#mix(path * 2 + (moved ? 1 : 0), nowUs)
    this.#movedBytes += servedBytes
    if (request < 0) {
      this.#probes++
      this.#probeBytes += servedBytes
    } else if (!moved && this.#faultOf(path, nowUs) !== undefined) this.#losses[path]!++
  }

  done(request: number, _path: number, nowUs: number): void {
    const { arrivalUs, bytes, deadlineUs, classOf } = this.#demand
    const size = bytes[request]!
    this.#servedBytes += size
    this.#slowdowns.push((nowUs - arrivalUs[request]!) / (START_US + size / PATH_BYTES_PER_US))
    if (nowUs <= deadlineUs[request]!) {
      this.#onTime[classOf[request]!]!++
      this.#onTimeBytes += size
    }
    const prediction = this.#predictions.get(request)
    if (prediction === undefined) return
    const tookUs = nowUs - prediction.atUs
    if (tookUs <= prediction.quantileUs) this.#within++
    const ratio = Math.max(1, tookUs) / Math.max(1, prediction.p50Us)
    this.#factors.push(Math.max(ratio, 1 / ratio))
  }

  rejected(request: number, outcome: string): void {
    this.#mix(-1, request)
    this.#rejected++
    this.#rejections.set(outcome, (this.#rejections.get(outcome) ?? 0) + 1)
  }

  failed(request: number): void {
    this.#mix(-2, request)
    this.#failed++
  }

  /** Keeps what the policy expected of the last attempt; a profile without a service model expects nothing. */
  predicted(request: number, nowUs: number, detail: DecisionDetail): void {
    const model = detail.candidates.find((candidate) => candidate.chosen)?.model
    if (model === undefined || model === null) return
    this.#predictions.set(request, { atUs: nowUs, p50Us: model.predictedUs[0]!, quantileUs: model.predictedUs[1]! })
  }

  transitions(transitions: readonly Transition[], nowUs: number): void {
    for (const { path, from, to } of transitions) {
      this.#transitions++
      this.#mix(path * 16 + SEVERITY[to], nowUs)
      this.#closeQuarantine(path, nowUs)
      this.#states[path] = to
      this.#quarantinedFrom[path] = nowUs
      if (!quarantined(from) && quarantined(to) && !this.#explained(path, nowUs)) this.#falseQuarantines++
      this.#noticeTruth(path, from, to, nowUs)
    }
  }

  finish(nowUs: number, events: number): RunScore {
    for (let path = 0; path < PATHS; path++) this.#closeQuarantine(path, nowUs)
    const { count, bytes, classOf } = this.#demand
    const offered = bytes.reduce((sum, each) => sum + each, 0)
    const requests = DEMAND_CLASSES.map(() => 0)
    for (const each of classOf) requests[each]!++
    const faulty = [...new Set(this.#faults.flatMap((fault) => fault.paths))]
    const endUs = Math.max(0, ...this.#faults.map((fault) => fault.toUs))
    return {
      requests: count,
      onTime: this.#onTime.reduce((a, b) => a + b, 0),
      classes: requests.map((each, i) => ({ requests: each, onTime: this.#onTime[i]! })),
      rejected: this.#rejected,
      rejections: Object.fromEntries([...this.#rejections].sort()),
      failed: this.#failed,
      goodput: this.#onTimeBytes / offered,
      p99Slowdown: percentile(this.#slowdowns, 0.99),
      wastedShare: Math.max(0, this.#movedBytes - this.#servedBytes - this.#probeBytes) / offered,
      probeShare: this.#probeBytes / offered,
      probes: this.#probes,
      transitions: this.#transitions,
      transitionsPerHour: (this.#transitions * 3.6e9) / nowUs,
      falseQuarantineSeconds: this.#falseQuarantineUs / 1e6,
      falseQuarantines: this.#falseQuarantines,
      detectSeconds: meanOf(faulty.map((path) => this.#detectedUs[path]!)),
      recoverSeconds: meanOf(
        faulty.map((path) => (this.#recoveredUs[path] === null ? null : Math.max(0, this.#recoveredUs[path]! - endUs))),
      ),
      worstPathLosses: Math.max(0, ...this.#losses),
      withinPrediction: this.#factors.length === 0 ? null : this.#within / this.#factors.length,
      predictionFactor: this.#factors.length === 0 ? null : percentile(this.#factors, 0.5),
      events,
      simulatedSeconds: nowUs / 1e6,
      digest: this.#digest,
    }
  }

  #noticeTruth(path: number, from: PathState, to: PathState, nowUs: number): void {
    const fault =
      this.#faults.find(({ kind, paths, toUs }) => kind !== 'absent' && paths.includes(path) && nowUs < toUs) ??
      this.#faults.findLast(({ kind, paths }) => kind !== 'absent' && paths.includes(path))
    if (fault === undefined || nowUs < fault.fromUs) return
    if (this.#detectedUs[path] === null && SEVERITY[to] > SEVERITY[from] && nowUs < fault.toUs) {
      this.#detectedUs[path] = nowUs - fault.fromUs
    }
    if (SEVERITY[to] > 0) this.#recoveredUs[path] = null
    else if (this.#detectedUs[path] !== null) this.#recoveredUs[path] = nowUs
  }

  #closeQuarantine(path: number, nowUs: number): void {
    if (!quarantined(this.#states[path]!)) return
    if (!this.#explained(path, nowUs)) this.#falseQuarantineUs += nowUs - this.#quarantinedFrom[path]!
  }

  #explained(path: number, nowUs: number): boolean {
    return blamable(this.#faults, path, nowUs, BLAME_GRACE_US)
  }

  #faultOf(path: number, nowUs: number): FaultInterval | undefined {
    return this.#faults.find((fault) => fault.paths.includes(path) && nowUs >= fault.fromUs && nowUs <= fault.toUs)
  }

  #mix(a: number, b: number): void {
    this.#digest = murmur3([a >>> 0, b >>> 0], this.#digest)
  }
}

function quarantined(state: PathState): boolean {
  return state === 'quarantined' || state === 'quarantine_candidate'
}

function meanOf(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null)
  return known.length === 0 ? null : known.reduce((a, b) => a + b, 0) / known.length / 1e6
}

/** Nearest rank; 0 for nothing. */
function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? 0
}
