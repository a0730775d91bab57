// Python's rounding, because the published rules rank and print rounded numbers: `round(x)`, `round(x, n)` and
// `f"{x:.nf}"` all round the exact binary value half to even. Math.round rounds halves up and toFixed rounds them away
// from zero: 4.5 -> 4 (not 5), 0.25 -> "0.2" (not "0.3"), while 2.675 is below its tie and stays 2.67 in both.

import { productError } from './double-double.js'

const POWERS_OF_TEN = [1, 10, 100, 1000, 10_000]

/** `round(x, digits)`: the double nearest to the decimal that is nearest to x; an exact tie goes to the even digit. */
export function roundHalfEven(x: number, digits = 0): number {
  const scale = POWERS_OF_TEN[digits] ?? 10 ** digits
  const scaled = x * scale
  // From 2^52 on a double has no fractional digits left to round (and infinities stay what they are).
  if (!(Math.abs(scaled) < 2 ** 52)) return x
  const floor = Math.floor(scaled)
  const above = scaled - floor
  if (above > 0.5) return (floor + 1) / scale
  if (above < 0.5) return floor / scale
  // fl(x * scale) sits on the tie; the exact product may not.
  const error = productError(x, scale, scaled)
  if (error > 0 || (error === 0 && floor % 2 !== 0)) return (floor + 1) / scale
  return floor / scale
}

/** `f"{x:.{digits}f}"`. */
export function formatFixed(x: number, digits: number): string {
  return roundHalfEven(x, digits).toFixed(digits)
}
