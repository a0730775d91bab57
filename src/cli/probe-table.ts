// The table of `kvseam probe`: one row a path, what each kind of probe showed there last.

import type { ProbeKind } from '../probe/probe-options.js'
import type { ProbeReport } from '../probe/probe-report.js'
import { formatNs, formatRate, type Paint, table } from './text.js'

/** What was measured on one path in one round. */
export interface ProbedPath {
  readonly path: string
  readonly state: string
  readonly reports: Partial<Record<ProbeKind, ProbeReport>>
}

const NONE = '-'

export function probeTable(rows: readonly ProbedPath[], kinds: readonly ProbeKind[], paint: Paint): string[] {
  const header = ['path', 'state']
  if (kinds.includes('rtt')) header.push('rtt p50', 'p99', 'jitter')
  if (kinds.includes('read')) header.push('read p50', 'p99', 'rate')
  if (kinds.includes('write')) header.push('write p50', 'p99', 'rate')
  header.push('lost')
  const lines = table(
    [header, ...rows.map((row) => [row.path, row.state, ...kinds.flatMap((kind) => cells(row, kind)), lost(row)])],
    { align: ['left', 'left', ...header.slice(2).map(() => 'right' as const)] },
  )
  return lines.map((line, i) => (i === 0 ? paint.bold(line) : answered(rows[i - 1]!) ? line : paint.red(line)))
}

/** Every operation on the path came back. */
export function answered(row: ProbedPath): boolean {
  return Object.values(row.reports).every((report) => report.failure === null)
}

function cells({ reports }: ProbedPath, kind: ProbeKind): string[] {
  const report = reports[kind]
  if (report === undefined) return [NONE, NONE, NONE]
  const last =
    kind === 'rtt'
      ? time(report.jitterNs)
      : report.bytesPerSecond === null
        ? NONE
        : formatRate(Math.round(report.bytesPerSecond))
  return [time(report.p50Ns), time(report.p99Ns), last]
}

function time(ns: number | null): string {
  return ns === null ? NONE : formatNs(Math.round(ns))
}

/** `0/140`, and why when something was lost. */
function lost({ reports }: ProbedPath): string {
  const all = Object.values(reports)
  const asked = all.reduce((sum, report) => sum + report.count, 0)
  const came = all.reduce((sum, report) => sum + report.n + report.selfDelayed, 0)
  const failure = all.find((report) => report.failure !== null)?.failure
  return `${asked - came}/${asked}${failure === undefined ? '' : ` ${failure}`}`
}
