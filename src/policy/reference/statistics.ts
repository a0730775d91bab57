// The three figures of a sample window, as Python's `statistics` gives them (exact rationals, rounded once at the end).
//   p99    sorted v, k = (n-1)*0.99, lo = floor(k), hi = min(lo+1, n-1): v[lo] + (v[hi]-v[lo])*(k-lo); 0 for none
//   mean   sum/n; 0 for none
//   stdev  sqrt(sum((x-mean)^2) / (n-1)); 0 below two
// Sums carry their rounding error along, so the order of samples does not matter and 0.1 ten times has no spread.

import { productError, sumError } from './double-double.js'

/** @param sorted ascending; only the first `count` entries are read */
export function percentile99(sorted: ArrayLike<number>, count = sorted.length): number {
  if (count === 0) return 0
  const position = (count - 1) * 0.99
  const low = Math.floor(position)
  const lowValue = sorted[low]!
  const highValue = sorted[Math.min(low + 1, count - 1)]!
  return lowValue + (highValue - lowValue) * (position - low)
}

export function mean(values: ArrayLike<number>, count = values.length): number {
  if (count === 0) return 0
  let sum = 0
  let lost = 0
  for (let i = 0; i < count; i++) {
    const value = values[i]!
    const next = sum + value
    lost += sumError(sum, value, next)
    sum = next
  }
  const quotient = (sum + lost) / count
  return quotient + quotientRest(sum, lost, quotient, count)
}

export function standardDeviation(values: ArrayLike<number>, count = values.length): number {
  if (count < 2) return 0
  let sum = 0
  let lost = 0
  for (let i = 0; i < count; i++) {
    const value = values[i]!
    const next = sum + value
    lost += sumError(sum, value, next)
    sum = next
  }
  const centre = (sum + lost) / count
  const centreRest = quotientRest(sum, lost, centre, count)
  let squares = 0
  let squaresLost = 0
  for (let i = 0; i < count; i++) {
    const value = values[i]!
    const raw = value - centre
    const rest = sumError(value, -centre, raw) - centreRest
    const deviation = raw + rest
    const deviationRest = rest - (deviation - raw)
    const square = deviation * deviation
    const squareRest = productError(deviation, deviation, square) + 2 * deviation * deviationRest
    const next = squares + square
    squaresLost += sumError(squares, square, next) + squareRest
    squares = next
  }
  const variance = (squares + squaresLost) / (count - 1)
  if (variance === 0) return 0
  const varianceRest = quotientRest(squares, squaresLost, variance, count - 1)
  const root = Math.sqrt(variance)
  const square = root * root
  return root + (variance - square - productError(root, root, square) + varianceRest) / (2 * root)
}

/** What `quotient` lacks of (sum + lost) / count. */
function quotientRest(sum: number, lost: number, quotient: number, count: number): number {
  const product = quotient * count
  return (sum - product - productError(quotient, count, product) + lost) / count
}
