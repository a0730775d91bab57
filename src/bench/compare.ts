// Compares a run with an earlier one, row by row, and says what got worse by more than is allowed.

import { readFileSync } from 'node:fs'
import { refuse } from '../check.js'
import { SeamError } from '../errors.js'
import { type BenchReport, type CellFigures, type PathFigures, rowKey } from './report.js'

/** Figures that can be compared: how to read one, and whether more of it is worse. */
export const METRICS = {
  rate: { unit: 'B/s', moreIsWorse: false, of: (path: PathFigures) => path.bytesPerSecond },
  p50: { unit: 'us', moreIsWorse: true, of: (path: PathFigures) => path.latency.p50Us },
  p99: { unit: 'us', moreIsWorse: true, of: (path: PathFigures) => path.latency.p99Us },
} as const

export type Metric = keyof typeof METRICS

export interface Change {
  readonly row: string
  readonly metric: Metric
  readonly base: number
  readonly now: number
  /** Share by which it got worse; below 0 it got better. */
  readonly worseBy: number
  readonly tooMuch: boolean
}

export interface Comparison {
  readonly changes: readonly Change[]
  /** Rows that only one of the runs has. */
  readonly unmatched: readonly string[]
  /** What differs between the two machines or settings, so that a change may not be the software's. */
  readonly differences: readonly string[]
}

/** @throws KVSEAM_CONFIG_INVALID when the file is no report of this command, or of another label */
export function readBase(file: string): BenchReport {
  let value: unknown
  try {
    value = JSON.parse(readFileSync(file, 'utf8'))
  } catch (cause) {
    throw new SeamError(
      'KVSEAM_CONFIG_INVALID',
      { field: 'compare', file },
      `--compare ${file} cannot be read: ${cause instanceof Error ? cause.message : cause}; write one with "kvseam bench --json > ${file}"`,
      { cause },
    )
  }
  if (!isReport(value)) {
    throw refuse(
      'KVSEAM_CONFIG_INVALID',
      'compare',
      file,
      'it must be the output of "kvseam bench --json" (schema kvseam.bench/1)',
    )
  }
  return value
}

function isReport(value: unknown): value is BenchReport {
  if (typeof value !== 'object' || value === null) return false
  const { schema, cells } = value as Partial<BenchReport>
  return schema === 'kvseam.bench/1' && Array.isArray(cells)
}

/**
 * @param maxRegress share by which a figure may get worse
 * @throws KVSEAM_CONFIG_INVALID when the two have no row in common, or come from different kinds of transport
 */
export function compare(
  base: BenchReport,
  now: BenchReport,
  metrics: readonly Metric[],
  maxRegress: number,
): Comparison {
  if (base.label !== now.label) {
    throw refuse(
      'KVSEAM_CONFIG_INVALID',
      'compare',
      base.label,
      `this run is '${now.label}', and figures of the two mean different things`,
    )
  }
  const before = rows(base)
  const after = rows(now)
  const changes: Change[] = []
  for (const [row, path] of after) {
    const known = before.get(row)
    if (known === undefined) continue
    for (const metric of metrics) changes.push(change(row, metric, known, path, maxRegress))
  }
  if (changes.length === 0) {
    throw refuse(
      'KVSEAM_CONFIG_INVALID',
      'compare',
      [...before.keys()][0] ?? 'empty',
      'no row of it was run now; run the same cells',
    )
  }
  return {
    changes,
    unmatched: [...new Set([...before.keys(), ...after.keys()])].filter((row) => !(before.has(row) && after.has(row))),
    differences: differencesOf(base, now),
  }
}

function rows(report: BenchReport): Map<string, PathFigures> {
  return new Map(
    report.cells.flatMap((cell: CellFigures) => cell.paths.map((path) => [rowKey(cell, path), path] as const)),
  )
}

function change(row: string, metric: Metric, before: PathFigures, after: PathFigures, maxRegress: number): Change {
  const { of, moreIsWorse } = METRICS[metric]
  const base = of(before)
  const now = of(after)
  const ratio = moreIsWorse ? now / base : base / now
  // Nothing moved then or now: a run without one success is as bad as it gets.
  const worseBy = Number.isFinite(ratio) && after.transfers > 0 ? ratio - 1 : before.transfers === 0 ? 0 : 1
  return { row, metric, base, now, worseBy, tooMuch: worseBy > maxRegress }
}

function differencesOf(base: BenchReport, now: BenchReport): string[] {
  const out: string[] = []
  const note = (what: string, was: unknown, is: unknown): void => {
    if (JSON.stringify(was) !== JSON.stringify(is)) out.push(`${what}: ${String(was)} then, ${String(is)} now`)
  }
  for (const key of ['kvseam', 'node', 'platform', 'kernel', 'cpu', 'cpus'] as const) {
    note(key, base.environment[key], now.environment[key])
  }
  note('provider', `${base.provider} ${base.providerVersion}`, `${now.provider} ${now.providerVersion}`)
  for (const key of Object.keys(now.options) as (keyof BenchReport['options'])[]) {
    note(key, base.options[key], now.options[key])
  }
  return out
}
