// Slowdowns are integers in 1/1024, logarithms integers in 1/256, halvings come from a table: the same on every machine.
// ECMAScript leaves Math.log2 and Math.pow to the implementation; squaring, dividing and sqrt are exact by IEEE 754.

/** A slowdown of 1. */
export const ONE = 1024
/** Best and worst slowdown that is told apart. */
export const LEAST_SLOWDOWN = ONE / 2
export const MOST_SLOWDOWN = ONE * 64

const LOG2 = logTable()
const HALVINGS = halvingTable()

/** log2(1 + i/256) in 1/256, by repeated squaring: each square shows one more binary digit. */
function logTable(): Int32Array {
  const table = new Int32Array(256)
  for (let i = 0; i < 256; i++) {
    let y = 1 + i / 256
    let digits = 0
    for (let bit = 0; bit < 12; bit++) {
      y *= y
      digits *= 2
      if (y >= 2) {
        y /= 2
        digits += 1
      }
    }
    table[i] = Math.round(digits / 16)
  }
  return table
}

/** 2^(-i/64), from six square roots of a half. */
function halvingTable(): Float64Array {
  let step = 0.5
  for (let i = 0; i < 6; i++) step = Math.sqrt(step)
  const table = new Float64Array(64)
  table[0] = 1
  for (let i = 1; i < 64; i++) table[i] = table[i - 1]! * step
  return table
}

/** log2(x / 1024) in 1/256, for a whole x from 1 to 2^31 - 1; never falls when x grows. */
export function log2Of(x: number): number {
  const bits = 31 - Math.clz32(x)
  const mantissa = (bits >= 8 ? x >>> (bits - 8) : x << (8 - bits)) & 255
  return (bits - 10) * 256 + LOG2[mantissa]!
}

/** 2^(-elapsed / halfLife), in steps of 1/64 halving; 0 after forty of them. */
export function halved(elapsedUs: number, halfLifeUs: number): number {
  if (elapsedUs <= 0) return 1
  const steps = Math.floor((elapsedUs * 64) / halfLifeUs)
  if (steps >= 40 * 64) return 0
  let factor = HALVINGS[steps & 63]!
  for (let whole = steps >> 6; whole > 0; whole--) factor /= 2
  return factor
}

export function clampSlowdown(ratio: number): number {
  const scaled = Math.round(ratio * ONE)
  return scaled < LEAST_SLOWDOWN ? LEAST_SLOWDOWN : Math.min(scaled, MOST_SLOWDOWN)
}
