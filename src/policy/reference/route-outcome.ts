// What a whole routing decision is called. None admissible: no_admissible_pool. Otherwise the chosen path (first of the
// ranking) is held against the healthiest one (first of the ranked paths with the least severity, GFS rounded to 4,
// unrounded utilisation): another path is rerouted_to_alternate; the same one is admitted when its state is healthy and
// admitted_despite_degradation when not.

import type { ReferenceState } from './path-state.js'
import type { SelectionPolicy } from './selection.js'

export type RouteOutcome = 'admitted' | 'admitted_despite_degradation' | 'rerouted_to_alternate' | 'no_admissible_pool'

export function routeOutcome(chosenIsHealthiest: boolean, chosenState: ReferenceState): RouteOutcome {
  if (!chosenIsHealthiest) return 'rerouted_to_alternate'
  return chosenState === 'healthy' ? 'admitted' : 'admitted_despite_degradation'
}

/** The published sentence; `chosen` and `healthiest` are path ids and are quoted only for a reroute. */
export function routeReason(
  outcome: RouteOutcome,
  policy: SelectionPolicy,
  chosen: string | null,
  healthiest: string | null,
): string {
  switch (outcome) {
    case 'admitted':
      return 'healthy admissible pool selected'
    case 'admitted_despite_degradation':
      return 'degraded but admissible pool selected'
    case 'rerouted_to_alternate':
      return `${policy} selected ${chosen} over healthier ${healthiest}`
    case 'no_admissible_pool':
      return 'all candidate paths are inadmissible for this workload'
  }
}
