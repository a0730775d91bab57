// The figures for people: a head that says what was measured, a table that grows, and what it comes to.

import { formatBytes, formatCount, formatNs, formatRate, type Paint, table } from '../cli/text.js'
import type { Change, Comparison } from './compare.js'
import type { BenchReport, CellFigures, PathFigures } from './report.js'
import type { Step, Sweep } from './run.js'

const HEAD = [
  'op',
  'cell',
  'gate',
  'path',
  'GB/s',
  'p50',
  'p90',
  'p99',
  'p99.9',
  'max',
  'jitter',
  'loop p99.9',
  'CPU',
  'checked',
]
const ALIGN = [...new Array<'left'>(4).fill('left'), ...new Array<'right'>(HEAD.length - 4).fill('right')]

export function headLines({ options, cells, operations, gates }: Sweep): string[] {
  const load =
    options.ratePerSecond > 0 ? `${options.ratePerSecond} transfers/s, latency from when each was due` : 'closed loop'
  return [
    `kvseam bench on the ${options.backend} backend: ${operations.join(' and ')}, ${cells.length} cells, gate ${gates.join(' and ')}, ` +
      `window ${options.window}, ${load}, ${options.rails} ${options.rails === 1 ? 'path' : 'paths'}, ${options.devices.length === 0 ? '' : `over ${options.devices.join(', ')}, `}far end ${options.peer === 'process' ? 'in a process of its own' : 'in this process'}`,
    ...(options.faults === null ? [] : [`with faults: ${options.faults}`]),
  ]
}

export function stepText({ number, of, cell, operation, arrangement, soFar }: Step): string {
  const { transfers, bytes, p99Us, seconds } = soFar()
  const now =
    transfers === 0
      ? ''
      : ` ${formatCount(transfers)} transfers, ${formatRate(bytes / seconds)}, p99 ${formatNs(p99Us * 1e3)}`
  return `${number}/${of} ${operation} ${cell.name}${arrangement === 'alone' ? '' : ` ${arrangement}`} ...${now}`
}

export function tableLines(cells: readonly CellFigures[], paint: Paint): string[] {
  return table([HEAD, ...cells.flatMap((cell) => cell.paths.map((path) => row(cell, path, paint)))], { align: ALIGN })
}

function row(cell: CellFigures, path: PathFigures, { red, yellow }: Paint): string[] {
  const us = (value: number): string => (path.transfers === 0 ? '-' : formatNs(value * 1e3))
  const { latency, verified } = path
  const failed = Object.values(path.failed).reduce((sum, count) => sum + count, 0)
  const notes = [
    ...(verified.mismatched > 0 ? [red(`${formatCount(verified.mismatched)} WRONG`)] : []),
    ...(path.refused > 0 ? [yellow(`${formatCount(path.refused)} refused`)] : []),
    ...(failed > 0 ? [yellow(`${formatCount(failed)} failed`)] : []),
    ...(path.unposted > 0 ? [yellow(`${formatCount(path.unposted)} never posted`)] : []),
  ]
  return [
    cell.operation,
    cell.cell,
    cell.gate,
    pathText(cell, path),
    (path.bytesPerSecond / 1e9).toFixed(path.bytesPerSecond < 1e8 ? 4 : 2),
    us(latency.p50Us),
    us(latency.p90Us),
    us(latency.p99Us),
    us(latency.p999Us),
    us(latency.maxUs),
    us(latency.jitterUs),
    formatNs(cell.eventLoopDelayUs.p999 * 1e3),
    `${cell.cpuNsPerByte.toFixed(3)} ns/B`,
    [formatCount(verified.checked), ...notes].join(', '),
  ]
}

function pathText({ arrangement }: CellFigures, { path }: PathFigures): string {
  return arrangement === 'alone' ? path : `${path} ${arrangement}`
}

/** Where the time of a transfer goes, for cells of one path or many. */
export function splitLines(cells: readonly CellFigures[]): string[] {
  const p = (figures: { readonly p50Us: number; readonly p99Us: number }): string =>
    `${formatNs(figures.p50Us * 1e3)} / ${formatNs(figures.p99Us * 1e3)}`
  return table([
    ['op', 'cell', 'gate', 'path', 'prepare p50/p99', 'post', 'transfer', 'notify'],
    ...cells.flatMap((cell) =>
      cell.paths.map((path) => [
        cell.operation,
        cell.cell,
        cell.gate,
        pathText(cell, path),
        p(path.split.prepare),
        p(path.split.post),
        p(path.split.transfer),
        p(path.split.notify),
      ]),
    ),
  ])
}

export function tailLines(report: BenchReport): string[] {
  const { environment: machine } = report
  const checked = report.cells.flatMap(({ paths }) => paths).reduce((sum, path) => sum + path.verified.checked, 0)
  return [
    `label ${report.label} (${report.provider} ${report.providerVersion}); ${machine.cpu}, ${machine.cpus} CPUs, ${formatBytes(machine.memoryBytes)}, Linux ${machine.kernel}, Node ${machine.node}, kvseam ${machine.kvseam}, load ${machine.load1m.toFixed(2)}`,
    report.options.verify === 'off'
      ? 'no byte was verified'
      : `${formatCount(checked)} ${report.options.verify === 'each' ? 'transfers' : 'destinations'} verified by CRC-32C of both sides`,
    ...refusalLines(report),
    ...gateCostLines(report),
    ...contentionLines(report),
  ]
}

function refusalLines(report: BenchReport): string[] {
  return report.cells.flatMap((cell) =>
    cell.paths.flatMap(({ path, refused, refusedBecause }) =>
      refused === 0
        ? []
        : [
            `refused on ${path}, ${cell.operation} ${cell.cell}, ${formatCount(refused)} times; first because: ${refusedBecause ?? 'no reason was given'}`,
          ],
    ),
  )
}

/** What the policy costs where a cell ran with and without it. */
function gateCostLines(report: BenchReport): string[] {
  return report.cells.flatMap((off) => {
    if (off.gate !== 'off') return []
    const on = report.cells.find(
      (each) =>
        each.gate === 'on' &&
        each.cell === off.cell &&
        each.operation === off.operation &&
        each.arrangement === off.arrangement,
    )
    if (on === undefined || off.bytesPerSecond === 0) return []
    const share = 1 - on.bytesPerSecond / off.bytesPerSecond
    return [
      `gate on over off, ${off.operation} ${off.cell}${off.arrangement === 'alone' ? '' : ` ${off.arrangement}`}: ` +
        `${formatRate(on.bytesPerSecond)} instead of ${formatRate(off.bytesPerSecond)}, ${share >= 0 ? `${(share * 100).toFixed(1)} % less` : `${(-share * 100).toFixed(1)} % more`}`,
    ]
  })
}

/** What the other paths cost a path: all at once over one after the other. */
function contentionLines(report: BenchReport): string[] {
  return report.cells.flatMap((contended) => {
    if (contended.arrangement !== 'contended') return []
    const isolated = report.cells.find(
      (each) =>
        each.arrangement === 'isolated' &&
        each.cell === contended.cell &&
        each.operation === contended.operation &&
        each.gate === contended.gate,
    )
    return contended.paths.flatMap((path, i) => {
      const alone = isolated?.paths[i]
      if (alone === undefined || alone.transfers === 0 || path.transfers === 0) return []
      const p99 = (figures: PathFigures): string => formatNs(figures.latency.p99Us * 1e3)
      return [
        `contended over isolated, ${contended.operation} ${contended.cell} gate ${contended.gate} ${path.path}: ` +
          `${formatRate(path.bytesPerSecond)} instead of ${formatRate(alone.bytesPerSecond)}, p99 ${p99(path)} instead of ${p99(alone)}`,
      ]
    })
  })
}

export function comparisonLines({ changes, unmatched, differences }: Comparison, { red, green }: Paint): string[] {
  const shown = (each: Change): string => `${each.worseBy > 0 ? '+' : ''}${(each.worseBy * 100).toFixed(1)} % worse`
  const value = (each: Change, amount: number): string =>
    each.metric === 'rate' ? formatRate(amount) : formatNs(amount * 1e3)
  return [
    ...table(
      changes.map((each) => [
        each.row,
        each.metric,
        value(each, each.base),
        value(each, each.now),
        each.tooMuch
          ? red(shown(each))
          : each.worseBy < 0
            ? green(shown(each).replace('-', '').replace('worse', 'better'))
            : shown(each),
      ]),
      { align: ['left', 'left', 'right', 'right', 'right'] },
    ),
    ...unmatched.map((row) => `only in one of the two: ${row}`),
    ...differences.map((text) => `not the same: ${text}`),
  ]
}
