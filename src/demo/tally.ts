// Counts what happened in a demo run, from the same records that go into the decision log.

import type { DecisionRecord } from '../record/decision-record.js'
import { CLASSES, type WorkloadClass } from './plan.js'

/** What happened on one path to one class of requests. */
export interface PathClassCount {
  /** Decisions that chose the path. */
  chosen: number
  /** Decisions that could have chosen it and took another. */
  welcome: number
  /** Decisions in which the path was looked at and refused. */
  refused: number
  /** Code of the rule that refused first, with how often. */
  reasons: Map<string, { count: number; example: string }>
}

export interface ClassCount {
  requests: number
  admitted: number
  /** No path would have it; the decode side would recompute the prompt. */
  rejected: number
  delivered: number
  /** Delivered within the deadline of its class. */
  onTime: number
  failed: number
  /** Times from arrival to verified, milliseconds. */
  readonly latenciesMs: number[]
}

export interface StateChange {
  readonly atMs: number
  readonly path: string
  readonly from: string
  readonly to: string
}

export class Tally {
  readonly classes: Record<WorkloadClass, ClassCount>
  readonly paths = new Map<string, Record<WorkloadClass, PathClassCount>>()
  readonly stateChanges: StateChange[] = []
  bytes = 0
  descriptors = 0
  verified = 0
  mismatched = 0
  failures = new Map<string, number>()
  /** Decisions taken while the fault was on, for the path it was on. */
  readonly duringFault: Record<WorkloadClass, PathClassCount>
  blocksShort = 0

  constructor(pathIds: Iterable<string>) {
    this.classes = perClass(() => ({
      requests: 0,
      admitted: 0,
      rejected: 0,
      delivered: 0,
      onTime: 0,
      failed: 0,
      latenciesMs: [],
    }))
    this.duringFault = perClass(emptyCount)
    for (const id of pathIds) this.paths.set(id, perClass(emptyCount))
  }

  /** @param faultyPath the path under a fault now, if any */
  decision(workload: WorkloadClass, record: DecisionRecord, faultyPath: string | undefined): void {
    this.classes[workload][record.chosen === null ? 'rejected' : 'admitted']++
    for (const candidate of record.candidates) {
      const counts = [this.paths.get(candidate.path)?.[workload]]
      if (candidate.path === faultyPath) counts.push(this.duringFault[workload])
      for (const count of counts) {
        if (count === undefined) continue
        if (candidate.chosen) count.chosen++
        else if (candidate.admissible) count.welcome++
        if (candidate.admissible) continue
        count.refused++
        const known = count.reasons.get(candidate.outcome)
        if (known === undefined) count.reasons.set(candidate.outcome, { count: 1, example: candidate.reason })
        else known.count++
      }
    }
  }

  failure(code: string): void {
    this.failures.set(code, (this.failures.get(code) ?? 0) + 1)
  }
}

function emptyCount(): PathClassCount {
  return { chosen: 0, welcome: 0, refused: 0, reasons: new Map() }
}

function perClass<T>(make: () => T): Record<WorkloadClass, T> {
  return Object.fromEntries(CLASSES.map((name) => [name, make()])) as Record<WorkloadClass, T>
}

/** The value that the share `q` of `values` does not exceed; 0 for none. */
export function quantile(values: readonly number[], q: number): number {
  if (values.length === 0) return 0
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.ceil(q * sorted.length) - 1)] ?? 0
}

/** The reason that refused most often. */
export function topReason(count: PathClassCount): { code: string; example: string } | undefined {
  let best: { code: string; example: string; count: number } | undefined
  for (const [code, { count: times, example }] of count.reasons) {
    if (best === undefined || times > best.count) best = { code, example, count: times }
  }
  return best
}
