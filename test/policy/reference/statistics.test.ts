// Parity traps of the window's figures: exact sums, sample deviation, linear interpolation between neighbours.

import { expect, test } from 'vitest'
import { mean, percentile99, standardDeviation } from '../../../src/policy/reference/statistics.js'
import { repeat } from './streams.js'

test('p99 interpolates between the two greatest of ten samples', () => {
  // position 9 * 0.99 = 8.91: nine tenths of the way (0.91) from the ninth to the tenth value.
  expect(percentile99([2, 2, 2, 2, 2, 2, 2, 2, 2, 50])).toBeCloseTo(2 + 48 * 0.91, 12)
  expect(percentile99([7])).toBe(7)
  expect(percentile99([])).toBe(0)
})

test('a constant window has its own mean and no jitter at all', () => {
  const tenths = repeat(10, [0.1])
  expect(tenths.reduce((sum, x) => sum + x, 0) / 10).not.toBe(0.1)
  expect(mean(tenths)).toBe(0.1)
  expect(standardDeviation(tenths)).toBe(0)
})

test('jitter is the sample deviation and needs two samples', () => {
  expect(standardDeviation([])).toBe(0)
  expect(standardDeviation([12])).toBe(0)
  expect(standardDeviation([1, 3])).toBe(Math.SQRT2)
})

test('a large offset does not eat the deviation', () => {
  // Deviations -6, -3, 3, 6: 90 / 3 = 30.
  expect(standardDeviation([1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16])).toBe(Math.sqrt(30))
})

test('sums lose nothing, whatever the order', () => {
  expect(mean([1e16, 1, -1e16])).toBe(1 / 3)
  expect(mean([1, 1e16, -1e16])).toBe(1 / 3)
})

test('mean and deviation equal what CPython 3.11 prints for the same doubles', () => {
  const window = [3.823, 11.709, 1.2, 1, 0.1, 0.1, 8.048, 13.085, 12.339, 4.933]
  expect(mean(window)).toBe(5.6337)
  expect(standardDeviation(window)).toBe(5.263745942239656)
})
