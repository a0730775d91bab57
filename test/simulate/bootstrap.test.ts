// Intervals must hold the mean, shrink with more seeds, and use that pairs were run with the same seed.

import { describe, expect, it } from 'vitest'
import { SeamError } from '../../src/errors.js'
import { streamOf, unitAt } from '../../src/random.js'
import { estimate, pairedDifference } from '../../src/simulate/bootstrap.js'

const stream = streamOf(9, 'values')
const values = (n: number, from = 0) => Array.from({ length: n }, (_, i) => unitAt(stream, from + i))
const width = ({ low, high }: { low: number; high: number }) => high - low

describe('estimate', () => {
  it('encloses the sample mean and is certain of a constant', () => {
    const { mean, low, high } = estimate(values(20))
    expect(low).toBeLessThan(mean)
    expect(high).toBeGreaterThan(mean)
    expect(estimate([3, 3, 3])).toEqual({ mean: 3, low: 3, high: 3 })
  })

  it('covers the true mean about as often as it says', () => {
    const covered = Array.from({ length: 200 }, (_, i) => estimate(values(25, i * 25), i)).filter(
      ({ low, high }) => low <= 0.5 && high >= 0.5,
    ).length
    expect(covered).toBeGreaterThan(170)
    expect(covered).toBeLessThan(200)
  })

  it('narrows with the root of the number of values', () => {
    const ratio = width(estimate(values(25))) / width(estimate(values(400)))
    expect(ratio).toBeGreaterThan(2.5)
    expect(ratio).toBeLessThan(6)
  })

  it('refuses to say anything about nothing', () => {
    expect(() => estimate([])).toThrow(SeamError)
  })
})

it('a paired difference is far surer than its parts when the seeds move both alike', () => {
  const a = values(20)
  const b = a.map((value, i) => value - 0.01 + 0.001 * (i % 3))
  expect(width(pairedDifference(a, b))).toBeLessThan(width(estimate(a)) / 50)
  expect(pairedDifference(a, b).low).toBeGreaterThan(0)
})
