// The report as one file that can be mailed: plots, every figure, and the machine they came from. It loads nothing.

import { formatBytes, formatCount, formatNs, formatRate } from '../cli/text.js'
import { colourOf, escaped, linePlot, rangePlot, type Series } from './plot.js'
import { type BenchReport, type CellFigures, type PathFigures, rowKey } from './report.js'

interface Row {
  readonly name: string
  readonly cell: CellFigures
  readonly path: PathFigures
}

const STYLE = `
:root { color-scheme: light dark; --line: #8884; --faint: #888c }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2.2rem }
svg { width: 100%; height: auto } svg text { font-size: 12px; fill: currentColor } svg .title { fill: var(--faint) }
.grid { stroke: var(--line) }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13px; white-space: nowrap }
th, td { padding: .25rem .6rem; text-align: right; border-bottom: 1px solid var(--line) }
th:first-child, td:first-child { text-align: left } .wide { overflow-x: auto } .bad { color: #c2323b; font-weight: 600 }
.key { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; font-size: 13px; padding: 0; list-style: none }
.key i { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin-right: .4em }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; font-size: 13px } dt { color: var(--faint) } dd { margin: 0 }`

export function htmlReport(report: BenchReport): string {
  const rows = report.cells.flatMap((cell) => cell.paths.map((path): Row => ({ name: rowKey(cell, path), cell, path })))
  const sections = [
    `<h1>kvseam bench: ${escaped(report.options.backend)} <small>(${escaped(report.label)})</small></h1>`,
    `<p>${escaped(report.label === 'real' ? `Measured over ${report.provider} ${report.providerVersion}.` : `Label ${report.label}: these figures come from ${report.provider} ${report.providerVersion} and say nothing about a network.`)}${report.interrupted ? ' <span class="bad">The run was interrupted.</span>' : ''}</p>`,
    '<h2>Rate by transfer size</h2>',
    ...ratePlot(rows),
    '<h2>Latency: p50, p90, p99, p99.9 and maximum</h2>',
    rangePlot(
      rows.map(({ name, path: { latency } }) => ({
        name,
        values: [latency.p50Us, latency.p90Us, latency.p99Us, latency.p999Us, latency.maxUs].map((us) => us * 1e3),
      })),
      { title: 'due or submitted to settled promise', log: true, format: formatNs },
    ),
    '<h2>Latency by percentile</h2>',
    ...spectrum(rows),
    '<h2>Where the time goes (p50)</h2>',
    rangePlot(
      rows.flatMap(({ name, path: { split } }) =>
        (['prepare', 'post', 'transfer', 'notify'] as const).map((part) => ({
          name: `${name} ${part}`,
          values: [split[part].p50Us * 1e3, split[part].p99Us * 1e3],
        })),
      ),
      { title: 'p50 and p99 of each part', log: true, format: formatNs },
    ),
    '<h2>All figures</h2>',
    figuresTable(rows),
    '<h2>Machine and settings</h2>',
    definitions({
      ...report.environment,
      memoryBytes: formatBytes(report.environment.memoryBytes),
      label: report.label,
      provider: `${report.provider} ${report.providerVersion}`,
      ...report.options,
    }),
  ]
  return `<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>kvseam bench</title><style>${STYLE}</style></head>\n<body>\n${sections.join('\n')}\n</body></html>\n`
}

/** A line for what differs in anything but the size of a transfer. */
function ratePlot(rows: readonly Row[]): string[] {
  const lines = new Map<string, [number, number][]>()
  for (const { cell, path } of rows) {
    const name = `${cell.operation} ${cell.descriptors} descriptors gate=${cell.gate} ${cell.arrangement} ${path.path}`
    lines.set(name, [...(lines.get(name) ?? []), [cell.transferBytes, path.bytesPerSecond]])
  }
  const series = [...lines].map(([name, points]): Series => ({ name, points: points.sort(([a], [b]) => a - b) }))
  const sizes = [...new Set(rows.map(({ cell }) => cell.transferBytes))].sort((a, b) => a - b)
  return [
    linePlot(
      series,
      { title: 'bytes of a transfer', log: true, format: formatBytes, ...(sizes.length > 1 ? { marks: sizes } : {}) },
      { title: 'rate', log: false, format: formatRate },
    ),
    key(series.map(({ name }) => name)),
  ]
}

/** Latency over 1 / (1 - percentile), so that every nine takes the same room. */
function spectrum(rows: readonly Row[]): string[] {
  const series = rows.map(({ name, path }): Series => {
    const total = path.histogram.reduce((sum, [, samples]) => sum + samples, 0)
    let seen = 0
    const points = path.histogram.map(([lowerNs, samples]): [number, number] => {
      seen += samples
      return [total / Math.max(1, total - seen), lowerNs]
    })
    return { name, points }
  })
  const marks = [1, 10, 100, 1_000, 10_000]
  const names = new Map([
    [1, '0'],
    [10, '90 %'],
    [100, '99 %'],
    [1_000, '99.9 %'],
    [10_000, '99.99 %'],
  ])
  return [
    linePlot(
      series.map(({ name, points }) => ({ name, points: points.filter(([x]) => x <= 10_000) })),
      { title: 'percentile', log: true, format: (value) => names.get(value) ?? '', marks },
      { title: 'latency', log: true, format: formatNs },
    ),
    key(series.map(({ name }) => name)),
  ]
}

function key(names: readonly string[]): string {
  return `<ul class="key">${names.map((name, i) => `<li><i style="background:${colourOf(i)}"></i>${escaped(name)}</li>`).join('')}</ul>`
}

function figuresTable(rows: readonly Row[]): string {
  const heads = [
    'row',
    'rate',
    'transfers',
    'p50',
    'p90',
    'p99',
    'p99.9',
    'max',
    'jitter',
    'CPU',
    'loop p99.9',
    'refused',
    'failed',
    'verified',
    'wrong',
  ]
  const body = rows.map(({ name, cell, path }) => {
    const { latency, verified } = path
    const failed = Object.entries(path.failed).map(([code, count]) => `${code}: ${count}`)
    const cells = [
      name,
      formatRate(path.bytesPerSecond),
      formatCount(path.transfers),
      ...[latency.p50Us, latency.p90Us, latency.p99Us, latency.p999Us, latency.maxUs, latency.jitterUs].map((us) =>
        formatNs(us * 1e3),
      ),
      `${cell.cpuNsPerByte.toFixed(3)} ns/B`,
      formatNs(cell.eventLoopDelayUs.p999 * 1e3),
      formatCount(path.refused),
      failed.length === 0 ? '0' : failed.join(', '),
      formatCount(verified.checked),
    ]
    const wrong = `<td${verified.mismatched > 0 ? ' class="bad"' : ''}>${formatCount(verified.mismatched)}</td>`
    return `<tr>${cells.map((text) => `<td>${escaped(text)}</td>`).join('')}${wrong}</tr>`
  })
  return `<div class="wide"><table><thead><tr>${heads.map((head) => `<th>${head}</th>`).join('')}</tr></thead><tbody>${body.join('')}</tbody></table></div>`
}

function definitions(facts: Readonly<Record<string, unknown>>): string {
  return `<dl>${Object.entries(facts)
    .map(([name, value]) => `<dt>${escaped(name)}</dt><dd>${escaped(String(value))}</dd>`)
    .join('')}</dl>`
}
