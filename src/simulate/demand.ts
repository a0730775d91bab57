// Turns a request trace into the transfers of one simulated run: when, how many bytes, which class, due when.
//
// The traces know no classes and no deadlines. Ours: 10 % release, 50 % interactive, 40 % batch, drawn for each request; a
// request is due 20 ms + {2, 3, 10} times the time its bytes take on an idle path, in this order of classes.

import { SeamError } from '../errors.js'
import { WORKLOADS, type WorkloadProfile } from '../policy/workload.js'
import { integerAt, streamOf, unitAt } from '../random.js'
import type { TraceRequest } from '../trace/request.js'

export interface DemandClass {
  readonly workload: WorkloadProfile
  /** Share of requests, 0..1. */
  readonly share: number
  /** Deadline over the time on an idle path, before DEADLINE_BASE_US is added. */
  readonly deadlineFactor: number
}

export const DEMAND_CLASSES: readonly DemandClass[] = [
  { workload: WORKLOADS.release, share: 0.1, deadlineFactor: 2 },
  { workload: WORKLOADS.interactive, share: 0.5, deadlineFactor: 3 },
  { workload: WORKLOADS.batch, share: 0.4, deadlineFactor: 10 },
]

const DEADLINE_BASE_US = 20_000

export interface DemandOptions {
  readonly trace: readonly TraceRequest[]
  /** Length of the trace's clock tick: each request falls on a random moment of it. 0 for a trace with a fine clock. */
  readonly tickMs: number
  readonly seed: number
  /** Consecutive requests of the trace to use, from a place that the seed draws; it wraps around. */
  readonly requests: number
  readonly bytesPerToken: number
  /** Bytes offered over bytes that all paths can carry, above 0. */
  readonly load: number
  /** Of all paths together, bytes per microsecond. */
  readonly capacityBytesPerUs: number
  /** Of one path, bytes per microsecond. */
  readonly pathBytesPerUs: number
  /** Fixed cost of a transfer on an idle path, microseconds. */
  readonly startUs: number
}

/** Requests in order of arrival, one array a field. */
export interface Demand {
  readonly count: number
  readonly arrivalUs: Float64Array
  readonly bytes: Float64Array
  /** Absolute. */
  readonly deadlineUs: Float64Array
  /** Place in DEMAND_CLASSES. */
  readonly classOf: Uint8Array
  /** Time over which the bytes are offered, microseconds. */
  readonly spanUs: number
}

/**
 * The transfers of one run. The trace's time is stretched so that its bytes make the load asked for.
 * @throws SeamError KVSEAM_INVALID_ARGUMENT for an empty trace, or a load or number of requests that is not above 0
 */
export function demandOf(options: DemandOptions): Demand {
  const { trace, tickMs, seed, requests, bytesPerToken, load, capacityBytesPerUs, pathBytesPerUs, startUs } = options
  demandAbove0('trace.length', trace.length)
  demandAbove0('requests', requests)
  demandAbove0('load', load)
  const moments = streamOf(seed, 'tick-moments')
  const first = integerAt(streamOf(seed, 'trace-place'), 0, trace.length)
  const rows: { atMs: number; tokens: number }[] = []
  // The wrap leaves the mean gap between the last request and the first.
  const turnMs = (trace.at(-1)!.atMs - trace[0]!.atMs + tickMs) * (1 + 1 / trace.length)
  let totalBytes = 0
  for (let i = 0; i < requests; i++) {
    const row = trace[(first + i) % trace.length]!
    const turn = Math.floor((first + i) / trace.length)
    rows.push({ atMs: row.atMs + turn * turnMs + tickMs * unitAt(moments, i), tokens: row.inputTokens })
    totalBytes += row.inputTokens * bytesPerToken
  }
  rows.sort((a, b) => a.atMs - b.atMs)
  const spanUs = Math.round(totalBytes / (capacityBytesPerUs * load))
  const originMs = rows[0]!.atMs
  const scale = spanUs / Math.max(1, rows.at(-1)!.atMs - originMs)
  const classes = streamOf(seed, 'classes')
  const demand: Demand = {
    count: requests,
    arrivalUs: new Float64Array(requests),
    bytes: new Float64Array(requests),
    deadlineUs: new Float64Array(requests),
    classOf: new Uint8Array(requests),
    spanUs,
  }
  for (let i = 0; i < requests; i++) {
    const { atMs, tokens } = rows[i]!
    const bytes = tokens * bytesPerToken
    const idleUs = startUs + bytes / pathBytesPerUs
    const classIndex = classAt(unitAt(classes, i))
    demand.arrivalUs[i] = Math.round((atMs - originMs) * scale)
    demand.bytes[i] = bytes
    demand.classOf[i] = classIndex
    demand.deadlineUs[i] =
      demand.arrivalUs[i]! + DEADLINE_BASE_US + Math.round(DEMAND_CLASSES[classIndex]!.deadlineFactor * idleUs)
  }
  return demand
}

function classAt(draw: number): number {
  let below = 0
  for (let i = 0; i < DEMAND_CLASSES.length - 1; i++) {
    below += DEMAND_CLASSES[i]!.share
    if (draw < below) return i
  }
  return DEMAND_CLASSES.length - 1
}

function demandAbove0(field: string, value: number): void {
  if (value > 0 && Number.isFinite(value)) return
  throw new SeamError('KVSEAM_INVALID_ARGUMENT', { field, value }, `${field} must be above 0, got ${value}`)
}
