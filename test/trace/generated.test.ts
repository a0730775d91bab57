// Generated traces must be repeatable, have the rate and lengths asked for, and be burstier than Poisson.

import { describe, expect, it } from 'vitest'
import { DEFAULT_INPUT_TOKENS, type GeneratedTraceOptions, generatedTrace } from '../../src/trace/generated.js'

const GOLDEN = [
  { atMs: 0, inputTokens: 12962, outputTokens: 361 },
  { atMs: 18.498, inputTokens: 975, outputTokens: 444 },
  { atMs: 429.656, inputTokens: 1015, outputTokens: 90 },
  { atMs: 1121.227, inputTokens: 3411, outputTokens: 14 },
]
/** The thousandth: some twenty phases later. */
const GOLDEN_LAST = { atMs: 445227.16, inputTokens: 458, outputTokens: 441 }

function gapsOf(options: GeneratedTraceOptions): number[] {
  const trace = generatedTrace(options)
  return trace.slice(1).map((request, i) => request.atMs - trace[i]!.atMs)
}

function variationOf(values: readonly number[]): { mean: number; cv: number } {
  const mean = values.reduce((a, b) => a + b, 0) / values.length
  const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length
  return { mean, cv: Math.sqrt(variance) / mean }
}

describe('generatedTrace', () => {
  it('gives the requests written down here for seed 7', () => {
    const trace = generatedTrace({ seed: 7, requests: 1000 })
    expect(trace.slice(0, 4)).toEqual(GOLDEN)
    expect(trace.at(-1)).toEqual(GOLDEN_LAST)
  })

  it('begins with the same requests however many are asked for, and differs with the seed', () => {
    const long = generatedTrace({ seed: 1, requests: 500 })
    expect(generatedTrace({ seed: 1, requests: 50 })).toEqual(long.slice(0, 50))
    expect(generatedTrace({ seed: 2, requests: 500 })).not.toEqual(long)
  })

  it('starts at 0, never goes back, and keeps lengths inside the table', () => {
    const trace = generatedTrace({ seed: 3, requests: 20_000 })
    expect(trace[0]!.atMs).toBe(0)
    for (let i = 1; i < trace.length; i++) expect(trace[i]!.atMs).toBeGreaterThanOrEqual(trace[i - 1]!.atMs)
    for (const { inputTokens, outputTokens } of trace) {
      expect(Number.isInteger(inputTokens) && inputTokens >= 16 && inputTokens <= 128_000).toBe(true)
      expect(Number.isInteger(outputTokens) && outputTokens >= 1 && outputTokens <= 2000).toBe(true)
    }
  })

  it('has the quantiles of its table', () => {
    const lengths = generatedTrace({ seed: 4, requests: 50_000 })
      .map((request) => request.inputTokens)
      .sort((a, b) => a - b)
    for (const [share, tokens] of DEFAULT_INPUT_TOKENS.slice(1, -2)) {
      const found = lengths[Math.floor(share * lengths.length)]!
      expect(Math.abs(found - tokens) / tokens, `share ${share}`).toBeLessThan(0.08)
    }
  })

  it('is Poisson without bursts: gaps of the mean asked for and a variation of 1', () => {
    const burst = { rateFactor: 1, timeShare: 0.3, meanMs: 1000 }
    const { mean, cv } = variationOf(gapsOf({ seed: 5, requests: 40_000, ratePerSecond: 20, burst }))
    expect(mean).toBeGreaterThan(48.5)
    expect(mean).toBeLessThan(51.5)
    expect(cv).toBeGreaterThan(0.97)
    expect(cv).toBeLessThan(1.03)
  })

  it('keeps the mean rate with bursts, and varies more than Poisson', () => {
    const options = { requests: 60_000, ratePerSecond: 20 }
    const means = [1, 2, 3].map((seed) => variationOf(gapsOf({ seed, ...options })))
    for (const { cv } of means) expect(cv).toBeGreaterThan(1.2)
    const mean = means.reduce((sum, each) => sum + each.mean, 0) / 3
    expect(mean).toBeGreaterThan(46)
    expect(mean).toBeLessThan(54)
  })

  it('comes in bursts only when bursts carry the whole rate', () => {
    const burst = { rateFactor: 10, timeShare: 0.1, meanMs: 1000 }
    const gaps = gapsOf({ seed: 6, requests: 20_000, ratePerSecond: 10, burst })
    // 100 requests a second inside a burst, then about 9 s of silence.
    expect([...gaps].sort((a, b) => a - b)[10_000]).toBeLessThan(10)
    expect(gaps.filter((gap) => gap > 1000).length).toBeGreaterThan(100)
  })

  it.each([
    ['requests', { requests: 0 }],
    ['requests', { requests: 1.5 }],
    ['ratePerSecond', { ratePerSecond: 0 }],
    ['ratePerSecond', { ratePerSecond: Number.NaN }],
    ['seed', { seed: 0.5 }],
    ['burst', { burst: { rateFactor: 5, timeShare: 0.3, meanMs: 1 } }],
    ['burst.timeShare', { burst: { rateFactor: 1, timeShare: 1, meanMs: 1 } }],
    ['burst.rateFactor', { burst: { rateFactor: 0.5, timeShare: 0.1, meanMs: 1 } }],
    ['burst.meanMs', { burst: { rateFactor: 2, timeShare: 0.1, meanMs: 0 } }],
    [
      'inputTokens',
      {
        inputTokens: [
          [0, 0],
          [1, 5],
        ] as const,
      },
    ],
    [
      'inputTokens',
      {
        inputTokens: [
          [0, 1],
          [0.9, 5],
        ] as const,
      },
    ],
    [
      'inputTokens',
      {
        inputTokens: [
          [0, 1],
          [0.5, 9],
          [0.5, 10],
          [1, 11],
        ] as const,
      },
    ],
    [
      'outputTokens',
      {
        outputTokens: [
          [0, 5],
          [1, 4],
        ] as const,
      },
    ],
    ['outputTokens', { outputTokens: [] }],
  ])('names %s when it is out of range: %j', (field, options) => {
    expect(() => generatedTrace({ seed: 1, requests: 2, ...options })).toThrowError(
      expect.objectContaining({ code: 'KVSEAM_INVALID_ARGUMENT', facts: expect.objectContaining({ field }) }),
    )
  })
})
