// What each component of the default profile is worth: the profile without it against the whole, paired by seed.

import { table } from '../../src/cli/text.js'
import { pairedDifference } from '../../src/simulate/bootstrap.js'
import type { Contender } from '../../src/simulate/contenders.js'
import type { RunScore } from '../../src/simulate/score.js'
import { type Cell, type EvaluationOptions, evaluate, meanOf, onTimePercent } from './evaluation.js'
import { cellName, signed } from './tables.js'

export interface AblationRow {
  readonly component: string
  /** Points of on-time share that are lost without the component, by cell; negative: it costs. */
  readonly worth: readonly { readonly cell: Cell; readonly mean: number; readonly low: number; readonly high: number }[]
  /** Without it minus with it, means over all cells. */
  readonly transitionsPerHour: number
  readonly falseQuarantines: number
  readonly lost: number
  /** Cells in which any decision changed. */
  readonly changedCells: number
}

export function ablation(
  whole: Contender,
  without: readonly { component: string; contender: Contender }[],
  cells: readonly Cell[],
  options: EvaluationOptions,
  onComponent: (component: string) => void = () => {},
): AblationRow[] {
  const base = evaluate([whole], cells, options).map(({ scores }) => scores.get(whole.name)!)
  return without.map(({ component, contender }) => {
    onComponent(component)
    const runs = evaluate([contender], cells, options).map(({ scores }) => scores.get(contender.name)!)
    const difference = (figure: (score: RunScore) => number) =>
      meanOf(runs.flat(), figure)! - meanOf(base.flat(), figure)!
    return {
      component,
      worth: cells.map((cell, i) => ({
        cell,
        ...pairedDifference(base[i]!.map(onTimePercent), runs[i]!.map(onTimePercent)),
      })),
      transitionsPerHour: difference((score) => score.transitionsPerHour),
      falseQuarantines: difference((score) => score.falseQuarantines),
      lost: difference((score) => score.failed + score.worstPathLosses),
      changedCells: runs.filter((scores, i) => scores.some((score, s) => score.digest !== base[i]![s]!.digest)).length,
    }
  })
}

export function ablationTable(rows: readonly AblationRow[]): string[] {
  const extreme = ({ worth }: AblationRow, sign: 1 | -1) => {
    const most = worth.reduce((a, b) => (sign * b.mean > sign * a.mean ? b : a))
    const sure = sign === 1 ? most.low > 0 : most.high < 0
    return `${signed(most.mean)}${sure ? '*' : ' '} ${cellName(most.cell.fault, most.cell.discipline, most.cell.load)}`
  }
  const lines = rows.map((row) => [
    row.component,
    signed(row.worth.reduce((sum, each) => sum + each.mean, 0) / row.worth.length, 3),
    extreme(row, 1),
    extreme(row, -1),
    signed(row.transitionsPerHour, 0),
    signed(row.falseQuarantines, 2),
    signed(row.lost, 2),
    `${row.changedCells}/${row.worth.length}`,
  ])
  return table(
    [['without', 'worth', 'worth most', 'costs most', 'transitions/h', 'false q.', 'lost', 'cells changed'], ...lines],
    { align: ['left', 'right', 'left', 'left', 'right', 'right', 'right', 'right'] },
  )
}
