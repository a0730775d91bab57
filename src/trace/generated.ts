// Makes request traces of our own, for when no recorded one is at hand: seeded, bursty, with long-tailed prompts.
//
// Arrivals: a Poisson process whose rate switches between a calm and a burst phase (Markov-modulated), because recorded
// serving traffic is burstier than Poisson. Lengths: drawn from a table of quantiles by straight-line interpolation, because
// published statistics come as quantiles and interpolation needs no function that differs between machines.
// The default figures are our own, laid between the published ones of a chat and a long-context service (Azure 2023
// conversation: prompt p50 1,020, p99 4,142 tokens; Mooncake conversation: p50 6,909, p99 85,400).

import { SeamError } from '../errors.js'
import { type DrawStream, exponentialAt, streamOf, unitAt } from '../random.js'
import type { TraceRequest } from './request.js'

/** Points (share of requests, tokens), both rising, from share 0 to share 1. */
export type Quantiles = readonly (readonly [share: number, tokens: number])[]

interface Burstiness {
  /** Rate inside a burst over the mean rate; 1 makes plain Poisson arrivals. */
  readonly rateFactor: number
  /** Share of the time spent in bursts, in [0, 1); rateFactor * timeShare <= 1. */
  readonly timeShare: number
  /** Mean length of a burst, milliseconds; lengths are exponential. */
  readonly meanMs: number
}

export interface GeneratedTraceOptions {
  /** Any safe integer; the same options and seed give the same trace on every machine. */
  readonly seed: number
  /** Requests to make. */
  readonly requests: number
  /** Mean over a long time; 3 unless told. */
  readonly ratePerSecond?: number
  /** 4 times the rate for 15 % of the time, 8 s at a time, unless told. */
  readonly burst?: Burstiness
  readonly inputTokens?: Quantiles
  readonly outputTokens?: Quantiles
}

const DEFAULT_BURST: Burstiness = { rateFactor: 4, timeShare: 0.15, meanMs: 8000 }

export const DEFAULT_INPUT_TOKENS: Quantiles = [
  [0, 16],
  [0.1, 200],
  [0.25, 600],
  [0.5, 1600],
  [0.75, 4000],
  [0.9, 9000],
  [0.97, 20000],
  [0.99, 36000],
  [0.999, 90000],
  [1, 128000],
]

const DEFAULT_OUTPUT_TOKENS: Quantiles = [
  [0, 1],
  [0.1, 24],
  [0.5, 180],
  [0.9, 500],
  [0.99, 1100],
  [1, 2000],
]

/**
 * The whole trace; its first request comes at 0, times are rounded to 1 us. Prompt and answer lengths are independent.
 * @throws SeamError KVSEAM_INVALID_ARGUMENT that names the option out of range
 */
export function generatedTrace(options: GeneratedTraceOptions): TraceRequest[] {
  const { seed, requests, ratePerSecond = 3, burst = DEFAULT_BURST } = options
  const inputs = checkedQuantiles('inputTokens', options.inputTokens ?? DEFAULT_INPUT_TOKENS, 1)
  const outputs = checkedQuantiles('outputTokens', options.outputTokens ?? DEFAULT_OUTPUT_TOKENS, 0)
  demand('requests', requests, Number.isSafeInteger(requests) && requests > 0, 'a positive integer')
  demand('ratePerSecond', ratePerSecond, ratePerSecond > 0 && ratePerSecond <= 1e6, 'above 0 and at most 1e6')
  const arrivals = arrivalTimes(seed, ratePerSecond / 1000, checkedBurst(burst))
  const inputDraws = streamOf(seed, 'trace-input-tokens')
  const outputDraws = streamOf(seed, 'trace-output-tokens')
  const trace: TraceRequest[] = []
  let firstMs = 0
  for (let i = 0; i < requests; i++) {
    const atMs = arrivals.next().value
    if (i === 0) firstMs = atMs
    trace.push({
      atMs: Math.round((atMs - firstMs) * 1000) / 1000,
      inputTokens: tokensAt(inputs, unitAt(inputDraws, i)),
      outputTokens: tokensAt(outputs, unitAt(outputDraws, i)),
    })
  }
  return trace
}

/**
 * Endless arrival times in ms. Each gap is an exponential of mean 1 in expected requests, spent at the current phase's rate, so
 * a phase that ends inside a gap loses no draw.
 * Calm rate = rate (1 - rateFactor timeShare) / (1 - timeShare); mean calm length = meanMs (1 - timeShare) / timeShare.
 */
function* arrivalTimes(seed: number, ratePerMs: number, burst: Burstiness): Generator<number, never> {
  const { rateFactor, timeShare, meanMs } = burst
  const gaps = streamOf(seed, 'trace-gaps')
  const phases: DrawStream = streamOf(seed, 'trace-phases')
  const plain = timeShare === 0 || rateFactor === 1
  const burstRate = ratePerMs * rateFactor
  const calmRate = plain ? ratePerMs : (ratePerMs * (1 - rateFactor * timeShare)) / (1 - timeShare)
  const calmMs = (meanMs * (1 - timeShare)) / timeShare
  let bursting = !plain && unitAt(phases, 0) < timeShare
  let phase = 1
  const phaseLength = () =>
    plain ? Number.POSITIVE_INFINITY : exponentialAt(phases, phase++) * (bursting ? meanMs : calmMs)
  let nowMs = 0
  let phaseEndMs = phaseLength()
  for (let i = 0; ; i++) {
    let expected = exponentialAt(gaps, i)
    for (;;) {
      const rate = bursting ? burstRate : calmRate
      const room = rate === 0 ? 0 : (phaseEndMs - nowMs) * rate
      if (expected < room) {
        nowMs += expected / rate
        break
      }
      expected -= room
      nowMs = phaseEndMs
      bursting = !bursting
      phaseEndMs += phaseLength()
    }
    yield nowMs
  }
}

function tokensAt(quantiles: Quantiles, share: number): number {
  let i = 1
  while (i < quantiles.length - 1 && share >= quantiles[i]![0]) i++
  const [lowShare, low] = quantiles[i - 1]!
  const [highShare, high] = quantiles[i]!
  return Math.round(low + ((share - lowShare) / (highShare - lowShare)) * (high - low))
}

function checkedBurst(burst: Burstiness): Burstiness {
  const { rateFactor, timeShare, meanMs } = burst
  demand('burst.rateFactor', rateFactor, rateFactor >= 1 && Number.isFinite(rateFactor), 'at least 1')
  demand('burst.timeShare', timeShare, timeShare >= 0 && timeShare < 1, 'in [0, 1)')
  demand('burst.meanMs', meanMs, meanMs > 0 && Number.isFinite(meanMs), 'above 0')
  demand('burst', burst, rateFactor * timeShare <= 1, 'such that rateFactor * timeShare is at most 1')
  return burst
}

function checkedQuantiles(field: string, quantiles: Quantiles, least: number): Quantiles {
  const rising = quantiles.every(([share, tokens], i) => {
    const before = quantiles[i - 1]
    return (
      Number.isSafeInteger(tokens) &&
      (before === undefined ? tokens >= least : share > before[0] && tokens >= before[1])
    )
  })
  const whole = quantiles.length >= 2 && quantiles[0]![0] === 0 && quantiles.at(-1)![0] === 1
  demand(
    field,
    quantiles,
    rising && whole,
    `rising points from [0, tokens] to [1, tokens], integers of at least ${least}`,
  )
  return quantiles
}

function demand(field: string, value: unknown, holds: boolean, expected: string): void {
  if (holds) return
  throw new SeamError(
    'KVSEAM_INVALID_ARGUMENT',
    { field, value },
    `${field} must be ${expected}, got ${typeof value === 'number' ? String(value) : JSON.stringify(value)}`,
  )
}
