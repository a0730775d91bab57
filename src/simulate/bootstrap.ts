// Says how far a mean over seeds can be trusted: percentile bootstrap intervals, drawn from a seed like everything else.

import { SeamError } from '../errors.js'
import { integerAt, streamOf } from '../random.js'

export interface Estimate {
  readonly mean: number
  /** 95 % interval of the mean. */
  readonly low: number
  readonly high: number
}

const RESAMPLES = 1000

/** Mean of values that are one a seed, with its 95 % bootstrap interval. @throws SeamError for no value */
export function estimate(values: readonly number[], seed = 0): Estimate {
  const n = values.length
  if (n === 0)
    throw new SeamError('KVSEAM_INVALID_ARGUMENT', { field: 'values' }, 'an estimate needs at least one value')
  const draws = streamOf(seed, 'bootstrap')
  const means = new Float64Array(RESAMPLES)
  for (let i = 0; i < RESAMPLES; i++) {
    let sum = 0
    for (let j = 0; j < n; j++) sum += values[integerAt(draws, i * n + j, n)]!
    means[i] = sum / n
  }
  means.sort()
  return {
    mean: values.reduce((a, b) => a + b, 0) / n,
    low: means[Math.floor(RESAMPLES * 0.025)]!,
    high: means[Math.ceil(RESAMPLES * 0.975) - 1]!,
  }
}

/** Estimate of `a[i] - b[i]`: both ran with the same seed i, so what the seeds did to both falls out. */
export function pairedDifference(a: readonly number[], b: readonly number[]): Estimate {
  return estimate(a.map((value, i) => value - b[i]!))
}
