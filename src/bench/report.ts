// What a benchmark reports: plain data, so that a file of one run is the base that a later run is compared with.

import type { Profile } from '../policy/create.js'
import type { Environment } from './environment.js'
import type { LatencyFigures } from './latency-histogram.js'

export type Operation = 'read' | 'write'

/** `alone`: there is one path; `isolated`: one path after the other; `contended`: all at once. */
export type Arrangement = 'alone' | 'isolated' | 'contended'

/** `on`: the policy decides on every transfer; `off`: permits are minted without asking it. */
export type Gate = 'on' | 'off'

export interface PathFigures {
  readonly path: string
  readonly transfers: number
  readonly bytes: number
  /** Median of the rounds. */
  readonly bytesPerSecond: number
  readonly transfersPerSecond: number
  /** Due (or submitted, without a rate) to settled promise. */
  readonly latency: LatencyFigures
  readonly split: {
    /** One transfer's two descriptor lists, from block ids to native lists. */
    readonly prepare: LatencyFigures
    /** Submitted to handed to the transport; native. */
    readonly post: LatencyFigures
    /** Handed to the transport to arrived; native. */
    readonly transfer: LatencyFigures
    /** A control message of 16 bytes to the peer, one at a time, after the transfers. */
    readonly notify: LatencyFigures
  }
  /** Of `latency`: lower bound of a bucket in nanoseconds, samples. */
  readonly histogram: readonly (readonly [lowerNs: number, samples: number])[]
  readonly refused: number
  /** The policy's reason for the first refusal. */
  readonly refusedBecause: string | null
  readonly failed: Readonly<Record<string, number>>
  readonly unposted: number
  readonly selfDelayed: number
  /** Transfers, or destinations at the end, whose digest was compared with the source's. */
  readonly verified: { readonly checked: number; readonly mismatched: number }
}

export interface CellFigures {
  readonly cell: string
  readonly operation: Operation
  readonly gate: Gate
  readonly arrangement: Arrangement
  readonly blockBytes: number
  readonly descriptors: number
  readonly transferBytes: number
  /** Really in flight on a path: the memory may hold fewer than were asked for. */
  readonly window: number
  /** Memory that the transfers of a path walk through on each side; below a few MiB it is the cache that is measured. */
  readonly footprintBytes: number
  readonly paths: readonly PathFigures[]
  readonly bytesPerSecond: number
  /** CPU time of both processes, nanoseconds a byte; of both ends together where they share a process. */
  readonly cpuNsPerByte: number
  /** Beyond the millisecond of the timer that is delayed; medians of the rounds, and the greatest of all. */
  readonly eventLoopDelayUs: { readonly p50: number; readonly p99: number; readonly p999: number; readonly max: number }
}

export interface BenchOptions {
  readonly backend: string
  /** Of the policy, where the gate is on. */
  readonly profile: Profile
  readonly rails: number
  /** What the rails open, in turn; empty: the backend's own choice. */
  readonly devices: readonly string[]
  readonly railBytesPerSecond: number
  readonly railLatencyUs: number
  readonly peer: 'process' | 'in-process'
  readonly window: number
  readonly ratePerSecond: number
  readonly durationMs: number
  /** Slices of the duration; with the gate on and off they alternate. */
  readonly rounds: number
  readonly warmupMs: number
  readonly deadlineMs: number
  readonly poolBytes: number
  readonly verify: 'off' | 'ends' | 'each'
  readonly faults: string | null
  readonly seed: number
}

export interface BenchReport {
  readonly schema: 'kvseam.bench/1'
  /** Where the figures come from: `mock`, `emulated` or `real`. */
  readonly label: string
  readonly provider: string
  readonly providerVersion: string
  readonly environment: Environment
  readonly options: BenchOptions
  readonly cells: readonly CellFigures[]
  /** True when it was interrupted; the cells that were finished are there. */
  readonly interrupted: boolean
}

/** Names a row the same way in every run. */
export function rowKey(cell: CellFigures, path: PathFigures): string {
  return `${cell.operation} ${cell.cell} gate=${cell.gate} ${cell.arrangement} ${path.path}`
}

/** Bytes that arrived wrong, over the whole run. */
export function mismatches(report: BenchReport): number {
  return report.cells.reduce(
    (sum, cell) => sum + cell.paths.reduce((inCell, path) => inCell + path.verified.mismatched, 0),
    0,
  )
}
