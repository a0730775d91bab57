// Draws must be the same everywhere and look random: fixed values, chi-square, and no link between streams.

import { describe, expect, it } from 'vitest'
import { SeamError } from '../src/errors.js'
import {
  exponentialAt,
  integerAt,
  minusLogMidpoint,
  murmur3,
  permutation,
  streamOf,
  uint32At,
  unitAt,
} from '../src/random.js'

const DRAWS = 100_000

// Worked out by a second implementation of the construction, in Python.
const GOLDEN_WORDS = [380239337, 50597402, 2312671981, 132723056, 4197492577, 2625599611]
const GOLDEN_GAPS = [2.424398329970379, 4.441298978970285, 0.6190403829543566, 0.13259324792490002]

/** Chi-square of observed counts against equal shares. */
function chiSquare(counts: readonly number[]): number {
  const expected = counts.reduce((a, b) => a + b, 0) / counts.length
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)
}

/** 99.9 % point of chi-square with k degrees of freedom (Wilson-Hilferty). */
function chiSquareLimit(k: number): number {
  return k * (1 - 2 / (9 * k) + 3.09 * Math.sqrt(2 / (9 * k))) ** 3
}

function correlation(xs: readonly number[], ys: readonly number[]): number {
  const mean = (of: readonly number[]) => of.reduce((a, b) => a + b, 0) / of.length
  const [mx, my] = [mean(xs), mean(ys)]
  let [xy, xx, yy] = [0, 0, 0]
  for (let i = 0; i < xs.length; i++) {
    xy += (xs[i]! - mx) * (ys[i]! - my)
    xx += (xs[i]! - mx) ** 2
    yy += (ys[i]! - my) ** 2
  }
  return xy / Math.sqrt(xx * yy)
}

const units = (stream: ReturnType<typeof streamOf>, from = 0, count = DRAWS) =>
  Array.from({ length: count }, (_, i) => unitAt(stream, from + i))

describe('the mixer', () => {
  // Published MurmurHash3_x86_32 test vectors: 4-byte inputs read as little-endian words.
  it.each([
    [[], 0, 0],
    [[], 1, 0x514e28b7],
    [[], 0xffffffff, 0x81f16f39],
    [[0], 0, 0x2362f9de],
    [[0xffffffff], 0, 0x76293b50],
    [[0x87654321], 0, 0xf55b516b],
    [[0x87654321], 0x5082edee, 0x2362f9de],
  ])('hashes %j with seed %i as MurmurHash3_x86_32 does', (words, seed, expected) => {
    expect(murmur3(words, seed)).toBe(expected)
  })
})

describe('a stream of draws', () => {
  it('gives the values written down here, on every machine and version', () => {
    const stream = streamOf(42, 'golden', 7)
    expect([0, 1, 2, 4294967295, 4294967296, Number.MAX_SAFE_INTEGER].map((i) => uint32At(stream, i))).toEqual(
      GOLDEN_WORDS,
    )
    expect([0, 1, 2, 3].map((i) => exponentialAt(stream, i))).toEqual(GOLDEN_GAPS)
  })

  it('holds no state: order of calls does not matter', () => {
    const stream = streamOf(1, 'a')
    const forwards = units(stream, 0, 100)
    const backwards = Array.from({ length: 100 }, (_, i) => unitAt(streamOf(1, 'a'), 99 - i)).reverse()
    expect(backwards).toEqual(forwards)
  })

  it('is evenly spread in its high bits, its low bits and its sequence (chi-square, 99.9 %)', () => {
    for (const seed of [0, 1, 2, -5, Number.MAX_SAFE_INTEGER]) {
      const stream = streamOf(seed, 'uniformity')
      const high = new Array<number>(256).fill(0)
      const low = new Array<number>(256).fill(0)
      const pairs = new Array<number>(256).fill(0)
      for (let i = 0; i < DRAWS; i++) {
        const word = uint32At(stream, i)
        high[word >>> 24]! += 1
        low[word & 255]! += 1
        // Only every second pair, so that pairs share no draw.
        if (i % 2 === 0) pairs[((word >>> 28) << 4) | (uint32At(stream, i + 1) >>> 28)]! += 1
      }
      for (const counts of [high, low, pairs]) expect(chiSquare(counts)).toBeLessThan(chiSquareLimit(255))
    }
  })

  it('never repeats a word within a stream', () => {
    const stream = streamOf(3, 'bijection')
    expect(new Set(Array.from({ length: DRAWS }, (_, i) => uint32At(stream, i))).size).toBe(DRAWS)
  })

  it('flips about half of the output bits for each flipped bit of the index', () => {
    const stream = streamOf(9, 'avalanche')
    for (let bit = 0; bit < 32; bit++) {
      let flips = 0
      for (let i = 0; i < 1000; i++) {
        for (let diff = uint32At(stream, i) ^ uint32At(stream, (i ^ (1 << bit)) >>> 0); diff !== 0; diff &= diff - 1)
          flips++
      }
      expect(flips / 32_000).toBeGreaterThan(0.48)
      expect(flips / 32_000).toBeLessThan(0.52)
    }
  })
})

describe('streams that differ in one thing', () => {
  const base = streamOf(11, 'arrivals', 1)
  it.each([
    ['the seed by one', streamOf(12, 'arrivals', 1)],
    ['the seed by 2^32', streamOf(11 + 2 ** 32, 'arrivals', 1)],
    ['the sign of the seed', streamOf(-11, 'arrivals', 1)],
    ['one letter of the purpose', streamOf(11, 'arrivalt', 1)],
    ['the id by one', streamOf(11, 'arrivals', 2)],
    ['the number of ids', streamOf(11, 'arrivals', 1, 0)],
  ])('%s are not correlated, at the same index or the next', (_, other) => {
    const limit = 4 / Math.sqrt(DRAWS)
    expect(Math.abs(correlation(units(base), units(other)))).toBeLessThan(limit)
    expect(Math.abs(correlation(units(base), units(other, 1)))).toBeLessThan(limit)
    expect(Math.abs(correlation(units(base), units(base, 1)))).toBeLessThan(limit)
  })

  it('does not confuse a purpose with ids of the same numbers', () => {
    expect(streamOf(1, 'A')).not.toEqual(streamOf(1, '', 65))
  })

  it.each([1.5, Number.NaN, 2 ** 53])('refuses %d as a seed', (seed) => {
    expect(() => streamOf(seed, 'x')).toThrowError(expect.objectContaining({ code: 'KVSEAM_INVALID_ARGUMENT' }))
    expect(() => streamOf(1, 'x', seed)).toThrow(SeamError)
  })
})

describe('draws made from words', () => {
  it('takes the logarithm within 2e-15 of Math.log over the whole range, from basic arithmetic only', () => {
    const words = [0, 1, 2, 0x7fffffff, 0x80000000, 0xb504f333, 0xb504f334, 0xfffffffe, 0xffffffff]
    for (let i = 0; i < 20_000; i++) words.push(uint32At(streamOf(5, 'log'), i) >>> (i % 32))
    for (const word of words) {
      const expected = -Math.log((word + 0.5) / 2 ** 32)
      expect(Math.abs(minusLogMidpoint(word) - expected)).toBeLessThanOrEqual(2e-15 * Math.max(expected, 0.1))
    }
  })

  it('makes exponential gaps of mean 1 and variance 1 with the tail they should have', () => {
    const stream = streamOf(8, 'gaps')
    const gaps = Array.from({ length: DRAWS }, (_, i) => exponentialAt(stream, i))
    const mean = gaps.reduce((a, b) => a + b, 0) / DRAWS
    const variance = gaps.reduce((a, b) => a + (b - mean) ** 2, 0) / DRAWS
    expect(mean).toBeCloseTo(1, 1.5)
    expect(variance).toBeGreaterThan(0.96)
    expect(variance).toBeLessThan(1.04)
    const beyond3 = gaps.filter((gap) => gap > 3).length / DRAWS
    expect(beyond3).toBeGreaterThan(Math.exp(-3) * 0.95)
    expect(beyond3).toBeLessThan(Math.exp(-3) * 1.05)
  })

  it('draws every integer below a bound about equally often, and none at or above it', () => {
    const stream = streamOf(6, 'dice')
    const counts = new Array<number>(7).fill(0)
    for (let i = 0; i < 70_000; i++) counts[integerAt(stream, i, 7)]! += 1
    expect(counts).toHaveLength(7)
    expect(chiSquare(counts)).toBeLessThan(chiSquareLimit(6))
    expect(integerAt(stream, 0, 1)).toBe(0)
  })

  it('shuffles: every order of four comes about equally often', () => {
    const seen = new Map<string, number>()
    for (let seed = 0; seed < 24_000; seed++) {
      const order = permutation(streamOf(seed, 'shuffle'), 4).join('')
      seen.set(order, (seen.get(order) ?? 0) + 1)
    }
    expect(seen.size).toBe(24)
    expect(chiSquare([...seen.values()])).toBeLessThan(chiSquareLimit(23))
  })
})
