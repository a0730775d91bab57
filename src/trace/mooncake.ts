// Reads Mooncake traces: one JSON object a line with timestamp (ms), input_length and output_length (tokens).
// Source of the format: kvcache-ai/Mooncake, FAST25-release/traces (Qin et al., FAST 2025).

import { traceInvalid } from './invalid.js'
import type { TextLine } from './lines.js'
import { type TraceReader, tokenCount } from './reader.js'
import type { TraceRequest } from './request.js'

/** Timestamps of the published files step by 2,999 to 3,001 ms. */
const TICK_MS = 3000

export const mooncake: TraceReader = {
  format: 'mooncake',
  // A row may carry the tick before its neighbour's: finer than that the clock of the format tells nothing.
  backwardsMs: TICK_MS + 1,
  tickMs: TICK_MS,
  recognises: (firstLine) => {
    const row = parsed(firstLine)
    return row !== undefined && 'timestamp' in row && 'input_length' in row
  },
  start: (file) => (line) => {
    const row = parsed(line.text)
    if (row === undefined) throw notARow(file, line)
    return {
      atMs: timestamp(file, line.number, row['timestamp']),
      inputTokens: tokenCount(file, line.number, 'input_length', row['input_length'], 1),
      outputTokens: tokenCount(file, line.number, 'output_length', row['output_length'], 0),
    }
  },
}

/**
 * Spreads the requests of a tick evenly over it. The format's clock steps by about 3 s, so about ten requests share a time;
 * replayed as they stand they are a burst test, spread they are closer to the traffic that was recorded.
 * Request k of the n that share tick T comes at T + k * d / n, where d is the time to the next tick, at most `tickMs`.
 * Needs one tick of look-ahead. Times must not decrease.
 */
export async function* spreadTicks(
  requests: AsyncIterable<TraceRequest>,
  tickMs: number,
): AsyncGenerator<TraceRequest> {
  let tick: TraceRequest[] = []
  for await (const request of requests) {
    const start = tick[0]?.atMs ?? request.atMs
    if (request.atMs > start) {
      yield* spread(tick, Math.min(tickMs, request.atMs - start))
      tick = []
    }
    tick.push(request)
  }
  yield* spread(tick, tickMs)
}

function spread(tick: readonly TraceRequest[], lengthMs: number): TraceRequest[] {
  return tick.map((request, k) => ({ ...request, atMs: request.atMs + (k * lengthMs) / tick.length }))
}

function timestamp(file: string, line: number, value: unknown): number {
  if (typeof value === 'number' && Number.isFinite(value) && value >= 0) return value
  throw traceInvalid(
    { file, line, field: 'timestamp', value },
    'is not a number of milliseconds of at least 0',
    'correct or drop the row',
  )
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined
  } catch {
    return undefined
  }
}

function notARow(file: string, line: TextLine) {
  return traceInvalid(
    { file, line: line.number, field: 'line', value: line.text },
    'is not a JSON object',
    'one row is {"timestamp": ms, "input_length": tokens, "output_length": tokens}; is the file cut off?',
  )
}
