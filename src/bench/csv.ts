// The figures as comma-separated values (RFC 4180): one line a path of a cell, for spreadsheets and data frames.

import type { LatencyFigures } from './latency-histogram.js'
import type { BenchReport, CellFigures, PathFigures } from './report.js'

type Column = readonly [
  name: string,
  value: (report: BenchReport, cell: CellFigures, path: PathFigures) => string | number,
]

const COLUMNS: readonly Column[] = [
  ['label', (report) => report.label],
  ['provider', (report) => report.provider],
  ['provider_version', (report) => report.providerVersion],
  ['operation', (_, cell) => cell.operation],
  ['cell', (_, cell) => cell.cell],
  ['gate', (_, cell) => cell.gate],
  ['arrangement', (_, cell) => cell.arrangement],
  ['path', (_, __, path) => path.path],
  ['block_bytes', (_, cell) => cell.blockBytes],
  ['descriptors', (_, cell) => cell.descriptors],
  ['transfer_bytes', (_, cell) => cell.transferBytes],
  ['window', (_, cell) => cell.window],
  ['footprint_bytes', (_, cell) => cell.footprintBytes],
  ['transfers', (_, __, path) => path.transfers],
  ['bytes', (_, __, path) => path.bytes],
  ['gigabytes_per_second', (_, __, path) => path.bytesPerSecond / 1e9],
  ['transfers_per_second', (_, __, path) => path.transfersPerSecond],
  ...latencyColumns('latency', (path) => path.latency),
  ...latencyColumns('prepare', (path) => path.split.prepare),
  ...latencyColumns('post', (path) => path.split.post),
  ...latencyColumns('transfer', (path) => path.split.transfer),
  ...latencyColumns('notify', (path) => path.split.notify),
  ['cpu_ns_per_byte', (_, cell) => cell.cpuNsPerByte],
  ['event_loop_delay_p999_us', (_, cell) => cell.eventLoopDelayUs.p999],
  ['refused', (_, __, path) => path.refused],
  ['failed', (_, __, path) => Object.values(path.failed).reduce((sum, count) => sum + count, 0)],
  ['unposted', (_, __, path) => path.unposted],
  ['self_delayed', (_, __, path) => path.selfDelayed],
  ['verified', (_, __, path) => path.verified.checked],
  ['mismatched', (_, __, path) => path.verified.mismatched],
]

function latencyColumns(name: string, of: (path: PathFigures) => LatencyFigures): Column[] {
  return (['p50', 'p90', 'p99', 'p999', 'max', 'mean', 'jitter'] as const).map((which) => [
    `${name}_${which}_us`,
    (_, __, path) => of(path)[`${which}Us`],
  ])
}

export function csvLines(report: BenchReport): string[] {
  return [
    COLUMNS.map(([name]) => name).join(','),
    ...report.cells.flatMap((cell) =>
      cell.paths.map((path) => COLUMNS.map(([, value]) => field(value(report, cell, path))).join(',')),
    ),
  ]
}

function field(value: string | number): string {
  const text =
    typeof value === 'number' ? String(Number.isInteger(value) ? value : Number(value.toPrecision(7))) : value
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
