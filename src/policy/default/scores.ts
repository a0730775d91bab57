// The three scores of a path. Each grows with every metric that gets worse, is finite, and lies in its range for any input.
//   GFS = 1 - (1 - .9 med)(1 - .5 tail)(1 - err)(1 - stall)     noisy-OR: no signal can dilute another
//     med = clamp(log2(S50/C) / 3)   tail = clamp(log2(S99/C) / 5)
//     err = clamp(f / .10) clamp(failures / 2), f = failures / all in the window
//     stall = clamp(log2(S of the oldest in flight / max(S99, 4)) / 3)
//   PRS = exposure x criticality x dependence x severity, exposure = 1 / (1 + alternates with room)
//   FAE = GFS x weight x demand / spare of the alternates: above 1, the survivors could not carry its load

import type { PathState } from '../policy.js'
import { log2Of, ONE } from './fixed-point.js'

export interface GrayFailureInput {
  readonly s50: number
  readonly s99: number
  /** Common slowdown of the class, at least ONE. */
  readonly common: number
  readonly ok: number
  readonly failed: number
  /** Slowdown so far of the oldest transfer in flight; 0 when none counts. */
  readonly stalled: number
  readonly tail: boolean
}

function clamp(value: number): number {
  return value < 0 ? 0 : Math.min(value, 1)
}

/** log2 of a ratio of two slowdowns, 0 when it is below 1. */
function excess(slowdown: number, common: number): number {
  return slowdown <= common ? 0 : (log2Of(slowdown) - log2Of(common)) / 256
}

function errorScore(ok: number, failed: number): number {
  return failed === 0 ? 0 : clamp(failed / (ok + failed) / 0.1) * clamp(failed / 2)
}

function stallScore(stalled: number, s99: number): number {
  return clamp(excess(stalled, Math.max(s99, 4 * ONE)) / 3)
}

export function grayFailureScore(input: GrayFailureInput): number {
  const { s50, s99, common } = input
  const median = clamp(excess(s50, common) / 3)
  const tail = input.tail ? clamp(excess(s99, common) / 5) : 0
  const calm =
    (1 - 0.9 * median) *
    (1 - 0.5 * tail) *
    (1 - errorScore(input.ok, input.failed)) *
    (1 - stallScore(input.stalled, s99))
  return Math.round((1 - calm) * 10_000) / 10_000
}

export const SEVERITY: Readonly<Record<PathState, number>> = {
  unknown: 0.1,
  healthy: 0,
  degraded_usable: 0.2,
  degraded_restricted: 0.55,
  quarantine_candidate: 0.8,
  quarantined: 1,
  restored: 0.1,
}

/** @param alternates how many other paths could carry this one's demand, in whole paths or parts of them */
export function propagationRisk(
  alternates: number,
  criticality: number,
  utilisation: number,
  state: PathState,
  gfs: number,
): number {
  const dependence = Math.min(1, 0.25 + utilisation)
  return (criticality * dependence * Math.max(SEVERITY[state], gfs)) / (1 + alternates)
}

const FAE_MOST = 100

/** @param demand and @param spare bytes per second */
export function failureAmplification(gfs: number, criticality: number, demand: number, spare: number): number {
  if (gfs === 0 || demand <= 0) return 0
  return Math.min(FAE_MOST, (gfs * (0.5 + criticality) * demand) / Math.max(spare, 1))
}
