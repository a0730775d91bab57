// Opens a request trace of any known format: finds the format, checks every row, and stops reading at the limit.

import { SeamError } from '../errors.js'
import { azure } from './azure.js'
import { traceInvalid } from './invalid.js'
import { type TextLine, textLines } from './lines.js'
import { mooncake, spreadTicks } from './mooncake.js'
import type { TraceReader } from './reader.js'
import type { TraceFormat, TraceRequest } from './request.js'

export interface ReadTraceOptions {
  /** Found from the first line unless told. */
  readonly format?: TraceFormat | undefined
  /** Requests to give; reading stops there, and nothing after it is checked. All unless told. */
  readonly limit?: number | undefined
  /**
   * Spread the requests that share a clock tick evenly over it (Mooncake: 3 s). Off unless told: then they stay the burst that
   * the file has. No effect on a format with a fine clock. The last tick is read whole even where the limit cuts it, so that
   * a limit never changes the times of the requests it lets through.
   */
  readonly spreadTicks?: boolean | undefined
}

export interface Trace {
  readonly format: TraceFormat
  /** In order of time, at least one. */
  readonly requests: readonly TraceRequest[]
}

const READERS: readonly TraceReader[] = [mooncake, azure]

/**
 * Reads a trace file into memory, `limit` requests of it if told. Times count from the file's first request.
 *
 * @throws SeamError KVSEAM_TRACE_INVALID for a file that cannot be read, has no request, is in no known format, or has a
 * malformed row, a bad number, or a time that goes back further than the format's clock explains; names file, line and field
 * @throws SeamError KVSEAM_INVALID_ARGUMENT for a limit that is not a positive integer, or an unknown format
 */
export async function readTrace(file: string, options: ReadTraceOptions = {}): Promise<Trace> {
  const requests: TraceRequest[] = []
  let format: TraceFormat | undefined
  for await (const request of rows(file, options, (found) => {
    format = found
  })) {
    requests.push(request)
  }
  if (format === undefined || requests.length === 0) {
    throw traceInvalid({ file }, 'the trace has no request', 'give a file with at least one row')
  }
  return { format, requests }
}

/** The same requests as `readTrace`, one at a time, for a trace that need not be in memory. An empty file gives none. */
export function traceRequests(file: string, options: ReadTraceOptions = {}): AsyncGenerator<TraceRequest> {
  return rows(file, options, () => {})
}

async function* rows(
  file: string,
  options: ReadTraceOptions,
  onFormat: (format: TraceFormat) => void,
): AsyncGenerator<TraceRequest> {
  const limit = options.limit ?? Number.POSITIVE_INFINITY
  if (limit !== Number.POSITIVE_INFINITY && !(Number.isSafeInteger(limit) && limit > 0)) {
    throw new SeamError(
      'KVSEAM_INVALID_ARGUMENT',
      { field: 'limit', value: limit },
      `limit must be a positive integer, got ${String(limit)}`,
    )
  }
  let reader: TraceReader | undefined = options.format === undefined ? undefined : readerOf(options.format)
  const choose = (firstLine: TextLine) => {
    reader ??= recognised(file, firstLine)
    onFormat(reader.format)
    return reader
  }
  let requests = checked(file, choose)
  // The tick is the format's, which is known only at the first line: ask for it when the first request is there.
  if (options.spreadTicks === true) requests = spreadOnceKnown(requests, () => reader?.tickMs)
  let given = 0
  for await (const request of requests) {
    yield request
    given += 1
    if (given >= limit) return
  }
}

async function* spreadOnceKnown(
  requests: AsyncGenerator<TraceRequest>,
  tickMs: () => number | undefined,
): AsyncGenerator<TraceRequest> {
  async function* all(first: TraceRequest) {
    yield first
    yield* requests
  }
  try {
    const first = await requests.next()
    if (first.done === true) return
    const tick = tickMs()
    yield* tick === undefined ? all(first.value) : spreadTicks(all(first.value), tick)
  } finally {
    // Stopped at the very first request, `all` has not reached `requests` yet, and the file would stay open.
    await requests.return(undefined)
  }
}

/** Parsed rows with times from 0, in order. */
async function* checked(file: string, choose: (firstLine: TextLine) => TraceReader): AsyncGenerator<TraceRequest> {
  let reader: TraceReader | undefined
  let parse: ((line: TextLine) => TraceRequest | undefined) | undefined
  let originMs: number | undefined
  let lastMs = 0
  for await (const line of textLines(file)) {
    if (reader === undefined || parse === undefined) {
      reader = choose(line)
      parse = reader.start(file)
    }
    const request = parse(line)
    if (request === undefined) continue
    originMs ??= request.atMs
    const atMs = request.atMs - originMs
    if (lastMs - atMs > reader.backwardsMs) {
      throw traceInvalid(
        { file, line: line.number, field: 'timestamp', value: request.atMs },
        `lies ${lastMs - atMs} ms before the row above (${reader.format} allows ${reader.backwardsMs} ms)`,
        'sort the rows by time',
      )
    }
    lastMs = Math.max(lastMs, atMs)
    yield { ...request, atMs: lastMs }
  }
}

function readerOf(format: string): TraceReader {
  const reader = READERS.find((each) => each.format === format)
  if (reader !== undefined) return reader
  const known = READERS.map((each) => each.format)
  throw new SeamError(
    'KVSEAM_INVALID_ARGUMENT',
    { field: 'format', value: format, known },
    `unknown trace format ${JSON.stringify(format)}; known: ${known.join(', ')}`,
  )
}

function recognised(file: string, firstLine: TextLine): TraceReader {
  const reader = READERS.find((each) => each.recognises(firstLine.text))
  if (reader !== undefined) return reader
  const place = { file, line: firstLine.number, field: 'line', value: firstLine.text }
  if (firstLine.text.startsWith('{') && firstLine.text.includes('"client_id"')) {
    throw traceInvalid(
      place,
      'is a ServeGen client, which describes a generator and lists no requests',
      'give a Mooncake or Azure trace, or use the generated one',
    )
  }
  throw traceInvalid(
    place,
    'begins no known trace format',
    'give Mooncake JSON lines ({"timestamp": …, "input_length": …}) or Azure CSV (TIMESTAMP,ContextTokens,GeneratedTokens)',
  )
}
