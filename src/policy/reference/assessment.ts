// What the profile knows of one path after its newest sample. Immutable: a sample replaces the whole object, so a decision
// freezes a path by holding a reference, and decide() computes no statistics.

import { grayFailureScore } from './gray-failure-score.js'
import { isIsolated, type ReferenceState, SEVERITY } from './path-state.js'
import { isBadWindow, nextStep, type TransitionCause } from './path-transition.js'
import type { PathWindow } from './path-window.js'
import { roundHalfEven } from './rounding.js'
import type { ReferenceThresholds } from './thresholds.js'

/** The part of a path that never changes. */
export interface PathIdentity {
  readonly index: number
  readonly id: string
  readonly pool: string
  readonly maxSessions: number
  readonly softLimit: number
}

export interface Assessment {
  readonly path: PathIdentity
  readonly state: ReferenceState
  readonly severity: number
  readonly isolated: boolean
  readonly gfs: number
  readonly gfsRounded: number
  readonly p99Ms: number
  readonly jitterMs: number
  readonly dropFraction: number
  readonly samples: number
  readonly badWindows: number
  readonly cleanWindows: number
  /** Why the newest sample left the path in this state. */
  readonly cause: TransitionCause
}

/** A path without samples: healthy, score 0 (a known fault of the published rules, kept). */
export function unmeasured(path: PathIdentity): Assessment {
  return {
    path,
    state: 'healthy',
    severity: SEVERITY.healthy,
    isolated: false,
    gfs: 0,
    gfsRounded: 0,
    p99Ms: 0,
    jitterMs: 0,
    dropFraction: 0,
    samples: 0,
    badWindows: 0,
    cleanWindows: 0,
    cause: 'unchanged',
  }
}

/** @param window already holds the newest sample */
export function reassess(previous: Assessment, window: PathWindow, thresholds: ReferenceThresholds): Assessment {
  const p99Ms = window.p99Ms()
  const jitterMs = window.jitterMs()
  const dropFraction = window.dropFraction()
  const gfs = grayFailureScore(p99Ms, jitterMs, dropFraction, thresholds)
  const bad = isBadWindow(gfs)
  const badWindows = bad ? previous.badWindows + 1 : 0
  const cleanWindows = bad ? 0 : previous.cleanWindows + 1
  const { state, cause } = nextStep(previous.state, gfs, badWindows, cleanWindows, thresholds)
  return {
    path: previous.path,
    state,
    severity: SEVERITY[state],
    isolated: isIsolated(state),
    gfs,
    gfsRounded: roundHalfEven(gfs, 4),
    p99Ms,
    jitterMs,
    dropFraction,
    samples: window.count,
    badWindows,
    cleanWindows,
    cause,
  }
}
