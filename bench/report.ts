// The report of a run: machine, then every figure with its spread, its target and whether that was reached.

import { type Environment, environment } from '../src/bench/environment.js'
import { formatBytes, formatCount, formatNs, formatPerSecond, formatRate, table } from '../src/cli/text.js'
import type { Figure, Target, Unit } from './figure.js'

export interface ScenarioResult {
  readonly scenario: string
  readonly title: string
  readonly figures: readonly Figure[]
}

export interface BenchReport {
  readonly schema: 'kvseam.bench-engine/1'
  /** Where every figure comes from: none of them crossed a network. */
  readonly label: 'mock'
  readonly quick: boolean
  readonly seed: number
  readonly environment: Environment
  readonly results: readonly ScenarioResult[]
}

export function emptyReport(quick: boolean, seed: number): BenchReport {
  return { schema: 'kvseam.bench-engine/1', label: 'mock', quick, seed, environment: environment(), results: [] }
}

export function headLines({ environment: machine, quick, label }: BenchReport): string[] {
  return [
    `kvseam ${machine.kvseam} bench, label ${label}: this software on this machine, no network`,
    `${machine.cpu}, ${machine.cpus} CPUs, ${formatBytes(machine.memoryBytes)}, Linux ${machine.kernel}, Node ${machine.node}, load ${machine.load1m.toFixed(2)}`,
    ...(machine.load1m > machine.cpus / 2
      ? ['others use this machine: figures are lower, and spread wider, than it can do']
      : []),
    ...(quick ? ['quick: too short to mean anything; it only shows that the bench runs'] : []),
  ]
}

export function resultLines({ scenario, title, figures }: ScenarioResult): string[] {
  const rows = figures.map((each) => [
    `  ${each.name}`,
    shown(each.value, each.unit),
    each.rounds > 1 ? `${shown(each.low, each.unit)} .. ${shown(each.high, each.unit)}` : '',
    each.target === null ? '' : targetText(each.target, each.unit),
    each.reached === null ? '' : each.reached ? 'reached' : 'MISSED',
    each.meaning,
  ])
  return ['', `${scenario}: ${title}`, ...table(rows, { align: ['left', 'right', 'left', 'right'] })]
}

export function tailLines({ results }: BenchReport): string[] {
  const aimed = results.flatMap(({ figures }) => figures).filter(({ reached }) => reached !== null)
  const missed = aimed.filter(({ reached }) => reached === false)
  return [
    '',
    `${aimed.length - missed.length} of ${aimed.length} targets reached${missed.length === 0 ? '' : `; missed: ${missed.map(({ name }) => name).join(', ')}`}`,
  ]
}

function targetText(target: Target, unit: Unit): string {
  return 'atMost' in target ? `<= ${shown(target.atMost, unit)}` : `>= ${shown(target.atLeast, unit)}`
}

function shown(value: number, unit: Unit): string {
  switch (unit) {
    case 'ns':
      return value < 1000 && !Number.isInteger(value) ? `${value.toFixed(value < 10 ? 2 : 0)} ns` : formatNs(value)
    case '/s':
      return formatPerSecond(value)
    case 'bytes':
      return formatBytes(Math.round(value))
    case 'B/s':
      return formatRate(value)
    case 'x':
      return `${value >= 100 ? formatCount(value) : value.toFixed(2)}x`
    case 'share':
      return `${(value * 100).toFixed(2)} %`
    case 'count':
      return Number.isInteger(value) ? formatCount(value) : value.toFixed(4)
  }
}
