// The evaluation as text: one block for each discipline and load, a row for each contender, a column for each fault.

import { table } from '../../src/cli/text.js'
import { estimate } from '../../src/simulate/bootstrap.js'
import type { Contender } from '../../src/simulate/contenders.js'
import type { ScenarioFault } from '../../src/simulate/scenario.js'
import type { RunScore } from '../../src/simulate/score.js'
import { type CellResult, meanOf, onTimePercent } from './evaluation.js'
import type { CellVerdict } from './verdict.js'

/** Of one discipline and load. */
export function outcomeTable(
  results: readonly CellResult[],
  contenders: readonly Contender[],
  cellVerdicts: readonly CellVerdict[],
): string[] {
  const faults = results.map(({ cell }) => cell.fault)
  const rows = contenders.map((contender) => [
    contender.role === 'mark' ? `(${contender.name})` : contender.name,
    ...results.map(({ scores }) => shareText(scores.get(contender.name)!)),
  ])
  const ours = results.map(({ cell }) => cellVerdicts.find((verdict) => verdict.cell === cell))
  const verdictRows = ours.every((verdict) => verdict === undefined)
    ? []
    : [
        ['best rival', ...ours.map((verdict) => verdict?.bestRival ?? '')],
        ['lead', ...ours.map((verdict) => leadText(verdict))],
        ['verdict', ...ours.map((verdict) => (verdict === undefined ? '' : verdict.won ? 'won' : 'LOST'))],
      ]
  return table([['', ...faults], ...rows, ...verdictRows], { align: ['left', ...faults.map(() => 'right' as const)] })
}

/** What else a contender did in the cells of one discipline and load. */
export function conductTable(results: readonly CellResult[], contender: string): string[] {
  const faults = results.map(({ cell }) => cell.fault)
  const row = (name: string, figure: (score: RunScore) => number | null, digits: number) => [
    name,
    ...results.map(({ scores }) => numberText(meanOf(scores.get(contender)!, figure), digits)),
  ]
  const classShare = (place: number) => (score: RunScore) => {
    const { onTime, requests } = score.classes[place]!
    return (100 * onTime) / requests
  }
  return table(
    [
      ['', ...faults],
      row('release on time, %', classShare(0), 2),
      row('interactive on time, %', classShare(1), 2),
      row('batch on time, %', classShare(2), 2),
      row('bytes on time, %', (score) => 100 * score.goodput, 2),
      row('p99 slowdown', (score) => score.p99Slowdown, 1),
      row('rejected', (score) => score.rejected, 1),
      row('given up or failed', (score) => score.failed, 1),
      row('lost on worst path', (score) => score.worstPathLosses, 1),
      row('detected after, s', (score) => score.detectSeconds, 1),
      row('full use again after, s', (score) => score.recoverSeconds, 1),
      row('transitions an hour', (score) => score.transitionsPerHour, 0),
      row('false quarantines', (score) => score.falseQuarantines, 2),
      row('false quarantine, path s', (score) => score.falseQuarantineSeconds, 1),
      row('wasted bytes, %', (score) => 100 * score.wastedShare, 2),
      row('probe bytes, %', (score) => 100 * score.probeShare, 3),
      row(
        'within prediction, %',
        (score) => (score.withinPrediction === null ? null : 100 * score.withinPrediction),
        1,
      ),
      row('off median prediction, x', (score) => score.predictionFactor, 2),
    ].filter((cells) => cells.slice(1).some((cell) => cell !== '-')),
    { align: ['left', ...faults.map(() => 'right' as const)] },
  )
}

export function groupedBy<T>(items: readonly T[], key: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>()
  for (const item of items) groups.set(key(item), [...(groups.get(key(item)) ?? []), item])
  return groups
}

export function cellName(fault: ScenarioFault, discipline: string, load: number): string {
  return `${fault}/${discipline}/${load}`
}

/** Mean and half the width of its 95 % interval. */
function shareText(scores: readonly RunScore[]): string {
  const { mean, low, high } = estimate(scores.map(onTimePercent))
  return `${mean.toFixed(2)} ±${((high - low) / 2).toFixed(2)}`
}

function leadText(verdict: CellVerdict | undefined): string {
  if (verdict === undefined) return ''
  const { mean, low, high } = verdict.lead
  return `${signed(mean)} ±${((high - low) / 2).toFixed(2)}`
}

export function signed(value: number, digits = 2): string {
  return `${value < 0 ? '-' : '+'}${Math.abs(value).toFixed(digits)}`
}

export function numberText(value: number | null, digits: number): string {
  return value === null ? '-' : value.toFixed(digits)
}
