// The service model: how slow was a transfer, given its size and the load it met, and how long will the next one take.
//   S_fair = fair-share clock run / (b0 B)         1 on a link that shares fairly at its nominal rate
//   S_fifo = d / (b0 (Q0 + B))                     1 on a link that serves first in, first out
//   S = min of both, so that a path is never blamed for its discipline; noise and a0 come off d first, and an ideal time
//   shorter than the noise floor counts as that floor
//   T_q(B) = a0 + D_q + b0 (B + ahead) (S_newest + S_q - S_50), ahead by the discipline that has predicted better; D is what the
//   path adds to every transfer, 0 unless that explains the newest ones better than a slowdown does

import { clampSlowdown, ONE } from './fixed-point.js'
import type { Lease } from './lease.js'
import type { PathRecord, PathView } from './path.js'
import type { Rules } from './rules.js'

/** Slowdown of a transfer that took `totalUs`, or has taken it so far. `fairUs`: how far the fair-share clock ran. */
export function slowdownOf(
  path: PathRecord,
  lease: Pick<Lease, 'bytes' | 'aheadBytes'>,
  totalUs: number,
  fairUs: number,
  rules: Rules,
): number {
  const { fixedUs, usPerByte } = path.rate
  const { noiseUs, noiseFloorUs } = rules.settings
  const judgedUs = Math.max(0, totalUs - fixedUs - noiseUs)
  const fifo = judgedUs / Math.max(usPerByte * (lease.aheadBytes + lease.bytes), noiseFloorUs)
  // Noise hits the wall clock; the fair-share clock runs slower by the same factor as the link was shared.
  const ranUs = totalUs <= 0 ? 0 : (fairUs * judgedUs) / totalUs
  const fair = ranUs / Math.max(usPerByte * lease.bytes, noiseFloorUs)
  if (!rules.fairBound) return clampSlowdown(fifo)
  if (!rules.fifoBound) return clampSlowdown(fair)
  return clampSlowdown(Math.min(fair, fifo))
}

/** Slowdown as it was, for predicting: no noise is forgiven, and null for a transfer too short to tell. */
export function paceOf(
  path: PathRecord,
  lease: Pick<Lease, 'bytes' | 'aheadBytes'>,
  totalUs: number,
  fairUs: number,
  rules: Rules,
): number | null {
  const { fixedUs, usPerByte } = path.rate
  const ownUs = usPerByte * lease.bytes
  if (ownUs < rules.settings.noiseFloorUs) return null
  const movedUs = Math.max(0, totalUs - fixedUs)
  // By the discipline that predicts, or a small transfer that overtook a large one would look like a faster path.
  const fair = !rules.discipline || path.peers.discipline === 'fair'
  if (fair) return clampSlowdown((fairUs * movedUs) / Math.max(1, totalUs) / ownUs)
  return clampSlowdown(movedUs / (usPerByte * (lease.aheadBytes + lease.bytes)))
}

/** Microseconds that the bytes and those ahead should have taken, as the path shares itself: queueing is no delay. */
export function idealUsOf(
  path: PathRecord,
  lease: Pick<Lease, 'bytes' | 'aheadBytes'>,
  totalUs: number,
  fairUs: number,
  rules: Rules,
): number {
  const { usPerByte } = path.rate
  const fair = !rules.discipline || path.peers.discipline === 'fair'
  if (fair) return (usPerByte * lease.bytes * totalUs) / Math.max(1, fairUs)
  return usPerByte * (lease.aheadBytes + lease.bytes)
}

/** What this transfer says of the nominal cost of a byte; null when its bytes hardly counted. */
export function observedUsPerByte(path: PathRecord, lease: Lease, totalUs: number, fairUs: number): number | null {
  const { fixedUs } = path.rate
  if (lease.bytes === 0 || totalUs < 2 * fixedUs) return null
  return Math.min(fairUs / lease.bytes, (totalUs - fixedUs) / (lease.aheadBytes + lease.bytes))
}

export function aheadOf(path: PathRecord, view: PathView, bytes: number, nowUs: number, rules: Rules): number {
  const usPerByte = (view.usPerByte * view.expected) / ONE
  const fair = !rules.discipline || path.peers.discipline === 'fair'
  return Math.round(fair ? path.load.fairAhead(nowUs, usPerByte, bytes) : path.load.fifoAhead(nowUs, usPerByte))
}

/** Microseconds for `bytes` behind `ahead`, with the slowdown `expected + spread` and `delaySpreadUs` more delay than usual. */
export function predictedUs(view: PathView, bytes: number, ahead: number, spread: number, delaySpreadUs = 0): number {
  const fixedUs = view.fixedUs + view.delayUs + delaySpreadUs
  return Math.round(fixedUs + (view.usPerByte * (bytes + ahead) * (view.expected + spread)) / ONE)
}

export function delaySpreadOf(view: PathView, quantile: number): number {
  return quantile >= 0.9 ? view.delaySpreadUs : 0
}

export function spreadOf(view: PathView, quantile: number): number {
  if (quantile >= 0.99) return view.spread99
  if (quantile >= 0.95) return Math.round((view.spread90 + view.spread99) / 2)
  return quantile >= 0.9 ? view.spread90 : 0
}
