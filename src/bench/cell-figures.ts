// Turns what the rounds of one cell added up to into its figures.

import type { IntervalHistogram } from 'node:perf_hooks'
import type { Path } from '../paths.js'
import type { Cell } from './axes.js'
import type { LatencyHistogram } from './latency-histogram.js'
import { LoadResult } from './load.js'
import type { Slot } from './poster.js'
import type { Arrangement, CellFigures, Gate, Operation, PathFigures } from './report.js'

/** A path with the transfers that are prepared for it. */
export interface PathLanes {
  readonly path: Path
  readonly slots: readonly Slot[]
  readonly prepare: LatencyHistogram
  /** By slot: whose transfer arrived there last. */
  readonly arrivedIn: Map<Slot, LoadResult>
}

/** What the rounds of one gate add up to. */
export interface Account {
  readonly gate: Gate
  /** By path. */
  readonly results: readonly LoadResult[]
  /** Of the event loop, one a round (Node 20 cannot add them up), nanoseconds. */
  readonly delays: IntervalHistogram[]
  /** Of both processes. */
  cpuNs: number
}

export function openAccount(gate: Gate, lanes: readonly PathLanes[]): Account {
  return { gate, results: lanes.map(() => new LoadResult()), delays: [], cpuNs: 0 }
}

export function cellFigures(of: {
  readonly cell: Cell
  readonly operation: Operation
  readonly arrangement: Arrangement
  readonly lanes: readonly PathLanes[]
  readonly account: Account
  readonly notify: LatencyHistogram
  /** Asked for. */
  readonly window: number
}): CellFigures {
  const { cell, operation, arrangement, lanes, account, notify } = of
  const { gate, results, delays, cpuNs } = account
  const paths = lanes.map(({ path, prepare }, i) => pathFigures(path, results[i]!, prepare, notify))
  const bytes = paths.reduce((sum, each) => sum + each.bytes, 0)
  const rates = paths.reduce((sum, each) => sum + each.bytesPerSecond, 0)
  const slots = lanes[0]?.slots.length ?? 0
  const beyondTimerUs = (ns: number): number => Math.max(0, ns - 1e6) / 1e3
  const delayUs = (percentile: number): number =>
    beyondTimerUs(median(delays.map((delay) => delay.percentile(percentile))))
  return {
    cell: cell.name,
    operation,
    gate,
    arrangement,
    blockBytes: cell.blockBytes,
    descriptors: cell.descriptors,
    transferBytes: cell.transferBytes,
    window: Math.min(of.window, slots),
    footprintBytes: slots * cell.transferBytes,
    paths,
    bytesPerSecond: arrangement === 'isolated' ? rates / lanes.length : rates,
    cpuNsPerByte: bytes === 0 ? 0 : cpuNs / bytes,
    eventLoopDelayUs: {
      p50: delayUs(50),
      p99: delayUs(99),
      p999: delayUs(99.9),
      max: beyondTimerUs(Math.max(0, ...delays.map((delay) => delay.max))),
    },
  }
}

function pathFigures(path: Path, result: LoadResult, prepare: LatencyHistogram, notify: LatencyHistogram): PathFigures {
  return {
    path: path.id,
    transfers: result.transfer.samples,
    bytes: result.bytes,
    bytesPerSecond: median(result.bytesPerSecond),
    transfersPerSecond: result.seconds === 0 ? 0 : result.transfer.samples / result.seconds,
    latency: result.total.figures(),
    split: {
      prepare: prepare.figures(),
      post: result.post.figures(),
      transfer: result.transfer.figures(),
      notify: notify.figures(),
    },
    histogram: result.total.buckets(),
    refused: result.refused,
    failed: Object.fromEntries(result.failed),
    unposted: result.unposted,
    selfDelayed: result.selfDelayed,
    verified: { checked: result.checked, mismatched: result.mismatched },
  }
}

function median(values: readonly number[]): number {
  if (values.length === 0) return 0
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}
