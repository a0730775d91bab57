// Picks the chosen and the healthiest of the admissible candidates in one pass over scratch vectors it keeps for reuse.
// chosen      least ranking vector, ties to the earlier candidate
// healthiest  least (severity, GFS rounded to 4, unrounded utilisation), ties to the better ranked candidate

import type { Assessment } from './assessment.js'
import { compareRanks, RANK_KEYS, rankInto, type SelectionPolicy } from './selection.js'

export class Router {
  /** Positions of the winners so far, -1 before the first admissible candidate. */
  chosen = -1
  healthiest = -1
  #rank = new Float64Array(RANK_KEYS)
  #chosenRank = new Float64Array(RANK_KEYS)
  #healthiestRank = new Float64Array(RANK_KEYS)
  #policy: SelectionPolicy = 'balanced'
  #leastSeverity = 0
  #leastGfs = 0
  #leastUtilisation = 0

  begin(policy: SelectionPolicy): void {
    this.#policy = policy
    this.chosen = -1
    this.healthiest = -1
  }

  consider(position: number, assessment: Assessment, activeSessions: number): void {
    const { path, severity, gfsRounded } = assessment
    const rank = this.#rank
    rankInto(rank, this.#policy, assessment, activeSessions, path.maxSessions, path.softLimit)
    if (this.chosen < 0 || compareRanks(rank, this.#chosenRank) < 0) {
      this.chosen = position
      this.#chosenRank.set(rank)
    }
    const utilisation = activeSessions / path.maxSessions
    if (this.healthiest >= 0) {
      const difference =
        severity - this.#leastSeverity || gfsRounded - this.#leastGfs || utilisation - this.#leastUtilisation
      if (difference > 0 || (difference === 0 && compareRanks(rank, this.#healthiestRank) >= 0)) return
    }
    this.healthiest = position
    this.#leastSeverity = severity
    this.#leastGfs = gfsRounded
    this.#leastUtilisation = utilisation
    this.#healthiestRank.set(rank)
  }
}
