// The state a path takes after one more sample. A sample is bad when the GFS over the window is above 0.18; the caller
// has already counted it. First match:
//   GFS > 0.65  quarantine_candidate once bad >= persistence, else degraded_restricted
//   GFS > 0.40  degraded_restricted once bad >= persistence, else degraded_usable
//   GFS > 0.18  degraded_usable
//   quarantine_candidate or quarantined, GFS < 0.15   restored
//   restored                                          healthy once clean >= cleanToHealthy
//   degraded_usable or degraded_restricted            restored once clean >= cleanToRestore
//   otherwise unchanged

import type { ReferenceState } from './path-state.js'
import type { ReferenceThresholds } from './thresholds.js'

export type TransitionCause =
  | 'gfs_severe'
  | 'gfs_severe_persisted'
  | 'gfs_high'
  | 'gfs_high_persisted'
  | 'gfs_raised'
  | 'isolation_cleared'
  | 'clean_streak'
  | 'unchanged'

export interface Step {
  readonly state: ReferenceState
  readonly cause: TransitionCause
}

const SEVERE = 0.65
const HIGH = 0.4
const RAISED = 0.18
const CLEARED = 0.15

export function isBadWindow(gfs: number): boolean {
  return gfs > RAISED
}

export function nextStep(
  state: ReferenceState,
  gfs: number,
  badWindows: number,
  cleanWindows: number,
  thresholds: ReferenceThresholds,
): Step {
  const persisted = badWindows >= thresholds.persistenceToEscalate
  if (gfs > SEVERE) {
    return persisted
      ? { state: 'quarantine_candidate', cause: 'gfs_severe_persisted' }
      : { state: 'degraded_restricted', cause: 'gfs_severe' }
  }
  if (gfs > HIGH) {
    return persisted
      ? { state: 'degraded_restricted', cause: 'gfs_high_persisted' }
      : { state: 'degraded_usable', cause: 'gfs_high' }
  }
  if (gfs > RAISED) return { state: 'degraded_usable', cause: 'gfs_raised' }
  switch (state) {
    case 'quarantine_candidate':
    case 'quarantined':
      return gfs < CLEARED ? { state: 'restored', cause: 'isolation_cleared' } : { state, cause: 'unchanged' }
    case 'restored':
      return cleanWindows >= thresholds.cleanToHealthy
        ? { state: 'healthy', cause: 'clean_streak' }
        : { state, cause: 'unchanged' }
    case 'degraded_usable':
    case 'degraded_restricted':
      return cleanWindows >= thresholds.cleanToRestore
        ? { state: 'restored', cause: 'clean_streak' }
        : { state, cause: 'unchanged' }
    case 'healthy':
      return { state, cause: 'unchanged' }
  }
}
