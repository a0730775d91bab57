// The states of the published rules and how bad each is. `unknown` is not among them: a path without samples is healthy.

import type { PathState } from '../policy.js'

export type ReferenceState = Exclude<PathState, 'unknown'>

export const SEVERITY: Readonly<Record<ReferenceState, number>> = {
  healthy: 0,
  restored: 0.1,
  degraded_usable: 0.2,
  degraded_restricted: 0.55,
  quarantine_candidate: 0.8,
  quarantined: 1,
}

/** In these two states a path carries nothing and is nobody's alternate. */
export function isIsolated(state: ReferenceState): boolean {
  return state === 'quarantine_candidate' || state === 'quarantined'
}
