// The do-no-harm table: with nothing wrong, how often does a profile take a path out of service? Any quarantine is one too many.

import { table } from '../../src/cli/text.js'
import type { Contender } from '../../src/simulate/contenders.js'
import { DISCIPLINES } from '../../src/simulate/link.js'
import { type Cell, type EvaluationOptions, evaluate, meanOf, onTimePercent } from './evaluation.js'
import { numberText } from './tables.js'

const HARM_LOADS: readonly number[] = [0.3, 0.5, 0.7, 0.9]
/** What the policy is told of the rate over the true one; null: nothing. */
const HARM_NOMINALS: readonly (number | null)[] = [0.7, 1, 1.3, null]
/**
 * Giving up at the deadline turns mere load into timeouts, the hardest thing not to blame on a path; sending at once
 * piles transfers up on it.
 */
const HARM_WAYS: readonly { readonly name: string; readonly patience: number; readonly mayQueue: boolean }[] = [
  { name: 'queued, patient', patience: 4, mayQueue: true },
  { name: 'queued, deadline', patience: 1, mayQueue: true },
  { name: 'at once, patient', patience: 4, mayQueue: false },
  { name: 'at once, deadline', patience: 1, mayQueue: false },
]

export interface HarmRow {
  readonly cell: Cell
  readonly nominalFactor: number | null
  /** Of HARM_WAYS. */
  readonly way: string
  readonly onTimePercent: number
  readonly quarantines: number
  readonly transitions: number
}

export function harm(contender: Contender, options: EvaluationOptions): HarmRow[] {
  const cells = DISCIPLINES.flatMap((discipline) =>
    HARM_LOADS.map((load): Cell => ({ fault: 'none', discipline, load })),
  )
  return HARM_WAYS.flatMap(({ name, patience, mayQueue }) =>
    HARM_NOMINALS.flatMap((nominalFactor) =>
      evaluate([contender], cells, { ...options, nominalFactor, patience, mayQueue }).map(({ cell, scores }) => {
        const own = scores.get(contender.name)!
        return {
          cell,
          nominalFactor,
          way: name,
          onTimePercent: meanOf(own, onTimePercent)!,
          quarantines: own.reduce((sum, score) => sum + score.falseQuarantines, 0),
          transitions: own.reduce((sum, score) => sum + score.transitions, 0),
        }
      }),
    ),
  )
}

/** One line for each discipline, nominal rate and way to send; loads across: on-time %, quarantines, transitions. */
export function harmTable(rows: readonly HarmRow[]): string[] {
  const heads = HARM_LOADS.map((load) => `load ${load}`)
  const lines = HARM_WAYS.flatMap(({ name }) =>
    DISCIPLINES.flatMap((discipline) =>
      HARM_NOMINALS.map((nominal) => [
        name,
        discipline,
        nominal === null ? 'not told' : `x ${nominal}`,
        ...HARM_LOADS.map((load) => {
          const row = rows.find(
            (each) =>
              each.way === name &&
              each.nominalFactor === nominal &&
              each.cell.discipline === discipline &&
              each.cell.load === load,
          )
          if (row === undefined) return '-'
          return `${numberText(row.onTimePercent, 2)} ${row.quarantines} q ${row.transitions} t`
        }),
      ]),
    ),
  )
  return table([['sent, given up', 'links', 'rate told', ...heads], ...lines], {
    align: ['left', 'left', 'left', ...heads.map(() => 'right' as const)],
  })
}
