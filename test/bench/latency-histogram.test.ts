// The percentiles a benchmark prints are held against exact ones; maximum, mean and jitter have to be exact.

import { describe, expect, test } from 'vitest'
import { LatencyHistogram } from '../../src/bench/latency-histogram.js'
import { integerAt, streamOf } from '../../src/random.js'

function histogramOf(values: readonly number[]): LatencyHistogram {
  const histogram = new LatencyHistogram()
  for (const value of values) histogram.record(value)
  return histogram
}

describe('LatencyHistogram', () => {
  test('gives percentiles within 3.2 % of the exact ones, from 64 ns to a minute', () => {
    const draws = streamOf(1, 'latencies')
    const values = Array.from({ length: 20_000 }, (_, i) => 2 ** (6 + integerAt(draws, i, 2990) / 100))
    const sorted = [...values].sort((a, b) => a - b)
    const histogram = histogramOf(values)
    for (const q of [0.01, 0.5, 0.9, 0.99, 0.999]) {
      const exact = sorted[Math.ceil(q * sorted.length) - 1]!
      expect(Math.abs(histogram.percentileNs(q) - exact) / exact, `q ${q}`).toBeLessThan(0.033)
    }
  })

  test('keeps maximum, mean and jitter exact', () => {
    const { maxUs, meanUs, jitterUs, samples } = histogramOf([1e9 + 1_000, 1e9 + 2_000, 1e9 + 3_000]).figures()
    expect({ maxUs, samples }).toEqual({ maxUs: 1e6 + 3, samples: 3 })
    expect(meanUs).toBeCloseTo(1e6 + 2, 6)
    expect(jitterUs).toBeCloseTo(1, 6) // a plain sum of squares would lose it beside a mean of a second
  })

  test('never reports a percentile above the maximum', () => {
    expect(histogramOf([100_001]).figures().p999Us).toBeLessThanOrEqual(100.001)
  })

  test('is all zero without samples, and takes what a clock that went back gives', () => {
    expect(histogramOf([]).figures()).toEqual({
      samples: 0,
      p50Us: 0,
      p90Us: 0,
      p99Us: 0,
      p999Us: 0,
      maxUs: 0,
      meanUs: 0,
      jitterUs: 0,
    })
    expect(histogramOf([-5]).figures()).toMatchObject({ samples: 1, maxUs: 0 })
  })

  test('lists the buckets that hold something, and they add up', () => {
    const buckets = histogramOf([5, 5, 1_000_000, 2 ** 40]).buckets()
    expect(buckets.reduce((sum, [, samples]) => sum + samples, 0)).toBe(4)
    expect(buckets[0]).toEqual([5, 2])
    expect(buckets.map(([lower]) => lower)).toEqual([...buckets.map(([lower]) => lower)].sort((a, b) => a - b))
  })
})
