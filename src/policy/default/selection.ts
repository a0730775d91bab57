// Which of the candidates that pass is taken. Lowest preference level first; inside it the least predicted time: strict
// classes weigh the median and the quantile alike, tolerant ones the median alone. Costs within the tie band are drawn by
// (seed, seq), so that deciders who see the same do not all run to the same path.

import { type DrawStream, integerAt, streamOf } from '../../random.js'
import type { Candidate } from './checks.js'
import type { ClassLimits } from './class-limits.js'
import type { Rules } from './rules.js'

export function costOf(limits: ClassLimits, p50Us: number, quantileUs: number): number {
  return limits.tier === 'batch' ? p50Us : Math.round((p50Us + quantileUs) / 2)
}

export class Selection {
  readonly #ties: DrawStream
  readonly #band: number
  readonly #places: number[] = []

  constructor(rules: Rules) {
    this.#ties = streamOf(rules.settings.seed, 'tie')
    this.#band = rules.settings.tieBand
  }

  /** Place of the chosen candidate, -1 when none passes. */
  choose(candidates: readonly Candidate[], seq: number): number {
    let bestLevel = Number.POSITIVE_INFINITY
    let bestCost = Number.POSITIVE_INFINITY
    for (let i = 0; i < candidates.length; i++) {
      const candidate = candidates[i]!
      if (candidate.fails !== 0) continue
      const { level } = candidate
      if (level < bestLevel || (level === bestLevel && candidate.cost < bestCost)) {
        bestLevel = level
        bestCost = candidate.cost
      }
    }
    if (bestLevel === Number.POSITIVE_INFINITY) return -1
    const places = this.#places
    places.length = 0
    const most = bestCost * (1 + this.#band)
    for (let i = 0; i < candidates.length; i++) {
      const candidate = candidates[i]!
      if (candidate.fails !== 0 || candidate.cost > most) continue
      if (candidate.level === bestLevel) places.push(i)
    }
    return places.length === 1 ? places[0]! : places[integerAt(this.#ties, seq, places.length)]!
  }
}
