// Parity traps of rounding: Python rounds the exact binary value half to even, JavaScript's own functions do not.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatFixed, roundHalfEven } from '../../../src/policy/reference/rounding.js'

test('halves go to the even integer, not up', () => {
  expect([0.5, 1.5, 2.5, 3.5, 4.5].map((x) => roundHalfEven(x))).toEqual([0, 2, 2, 4, 4])
  expect(Math.round(4.5)).toBe(5)
})

test('a decimal that only looks like a tie is rounded by its binary value', () => {
  // 2.675 is stored as 2.67499999999999982236431605997495353221893310546875.
  expect(roundHalfEven(2.675, 2)).toBe(2.67)
  // 1.005 is stored as 1.00499999999999989..., 0.00005 as 0.0000500000000000000023..., so the first goes down, the second up.
  expect(roundHalfEven(1.005, 2)).toBe(1)
  expect(roundHalfEven(0.00005, 4)).toBe(0.0001)
  // 0.00015 is stored as 0.00014999999999999998...
  expect(roundHalfEven(0.00015, 4)).toBe(0.0001)
})

test('exact ties at four decimals go to the even digit', () => {
  // Odd multiples of 1/32 are exact in binary and end in a 5 at the fifth decimal.
  expect(roundHalfEven(0.03125, 4)).toBe(0.0312)
  expect(roundHalfEven(0.09375, 4)).toBe(0.0938)
  expect(roundHalfEven(0.15625, 4)).toBe(0.1562)
})

test('printing rounds exact ties to even where toFixed rounds them up', () => {
  expect(formatFixed(0.25, 1)).toBe('0.2')
  expect((0.25).toFixed(1)).toBe('0.3')
  expect(formatFixed(0.75, 1)).toBe('0.8')
  expect(formatFixed(16.25, 1)).toBe('16.2')
  expect(formatFixed(0.125, 2)).toBe('0.12')
  expect(formatFixed(0.0625, 3)).toBe('0.062')
})

test('printing keeps trailing zeros and large values', () => {
  expect(formatFixed(15, 1)).toBe('15.0')
  expect(formatFixed(0, 2)).toBe('0.00')
  expect(formatFixed(5_000_000.05, 1)).toBe('5000000.0')
  expect(formatFixed(9_007_199_254_740.99, 1)).toBe('9007199254741.0')
})

test('rounding agrees with exact integer arithmetic on every binary fraction', () => {
  const fraction = fc.record({ whole: fc.integer({ min: 0, max: 1_000_000 }), shift: fc.integer({ min: 0, max: 12 }) })
  const digits = fc.integer({ min: 0, max: 4 })
  fc.assert(
    fc.property(fraction, digits, ({ whole, shift }, n) => {
      // x = whole / 2^shift exactly, so x * 10^n = numerator / denominator in integers.
      const numerator = BigInt(whole) * 10n ** BigInt(n)
      const denominator = 1n << BigInt(shift)
      const floor = numerator / denominator
      const twice = 2n * (numerator % denominator)
      const up = twice > denominator || (twice === denominator && floor % 2n === 1n)
      expect(roundHalfEven(whole / 2 ** shift, n)).toBe(Number(floor + (up ? 1n : 0n)) / 10 ** n)
    }),
  )
})
