// Decides each cell: the default profile wins it when its on-time share is the best or within 0.3 points of the best rival.

import { type Estimate, pairedDifference } from '../../src/simulate/bootstrap.js'
import type { Contender } from '../../src/simulate/contenders.js'
import { type Cell, type CellResult, onTimePercent } from './evaluation.js'

/** Points of on-time share by which the best rival may lead. */
export const TOLERANCE_POINTS = 0.3

export interface CellVerdict {
  readonly cell: Cell
  readonly bestRival: string
  /** Ours minus the best rival's on-time share, points, paired by seed. */
  readonly lead: Estimate
  readonly won: boolean
}

export function verdicts(
  results: readonly CellResult[],
  contenders: readonly Contender[],
  ours: string,
): CellVerdict[] {
  const rivals = contenders.filter((contender) => contender.role === 'rival')
  return results.flatMap(({ cell, scores }) => {
    const own = scores.get(ours)?.map(onTimePercent)
    if (own === undefined || rivals.length === 0) return []
    const shares = rivals.map((rival) => ({ name: rival.name, values: scores.get(rival.name)!.map(onTimePercent) }))
    const best = shares.reduce((a, b) => (sum(b.values) > sum(a.values) ? b : a))
    const lead = pairedDifference(own, best.values)
    return [{ cell, bestRival: best.name, lead, won: lead.mean >= -TOLERANCE_POINTS }]
  })
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0)
}
