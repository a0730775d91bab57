// What a trace format must provide, and the checks on numbers that all formats share.

import { traceInvalid } from './invalid.js'
import type { TextLine } from './lines.js'
import type { TraceFormat, TraceRequest } from './request.js'

export interface TraceReader {
  readonly format: TraceFormat
  /** How far a row's time may lie before the row above (it is then given that row's time); more is an error. Milliseconds. */
  readonly backwardsMs: number
  /** Length of the clock tick that rows share, where the format has a coarse clock. Milliseconds. */
  readonly tickMs?: number
  /** True when a file that begins with this line is in this format. */
  recognises(firstLine: string): boolean
  /**
   * Starts on one file. The function returned takes each line in order and gives its request, or undefined for a header; it
   * throws SeamError KVSEAM_TRACE_INVALID. Times may begin anywhere.
   */
  start(file: string): (line: TextLine) => TraceRequest | undefined
}

/** Far above any context window; a larger figure is a damaged row, not a prompt. */
const MOST_TOKENS = 2 ** 31 - 1

/** `value` as a number of tokens: an integer of at least `least`. @throws SeamError KVSEAM_TRACE_INVALID */
export function tokenCount(file: string, line: number, field: string, value: unknown, least: 0 | 1): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= MOST_TOKENS) return value
  throw traceInvalid(
    { file, line, field, value },
    `is not an integer number of tokens of at least ${least}`,
    'correct or drop the row',
  )
}
