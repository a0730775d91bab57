// Reads Azure LLM inference traces: CSV with a header, date-times of 100 ns resolution, prompt and answer tokens.
// Source of the format: Azure/AzurePublicDataset, AzureLLMInferenceTrace_*.csv (Patel et al., ISCA 2024).

import { traceInvalid } from './invalid.js'
import type { TextLine } from './lines.js'
import { type TraceReader, tokenCount } from './reader.js'
import type { TraceRequest } from './request.js'

const TIME = 'TIMESTAMP'
const INPUT = 'ContextTokens'
const OUTPUT = 'GeneratedTokens'
const HEADER = `${TIME},${INPUT},${OUTPUT}`

/** `2023-11-16 18:17:03.9799600`, at most 7 decimals, optionally with Z or +hh:mm. */
const DATE_TIME = /^(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(\d\d):(\d\d)(?:\.(\d{1,7}))?(?:Z|([+-])(\d\d):(\d\d))?$/

/** A moment as whole seconds and 100-ns ticks: as one number of ticks since 1970 it would not fit 2^53. */
interface Moment {
  readonly seconds: number
  readonly ticks: number
}

interface Columns {
  readonly time: number
  readonly input: number
  readonly output: number
  readonly count: number
}

export const azure: TraceReader = {
  format: 'azure',
  // The published files are in order; a merged log may have neighbours swapped. A step of an hour (summer time) is an error.
  backwardsMs: 1000,
  recognises: (firstLine) => columnsOf(firstLine) !== undefined,
  start: (file) => {
    let columns: Columns | undefined
    let first: Moment | undefined
    return (line) => {
      if (columns === undefined) {
        columns = columnsOf(line.text) ?? missingHeader(file, line)
        return undefined
      }
      const cells = line.text.split(',').map((cell) => cell.trim())
      if (cells.length !== columns.count) {
        throw traceInvalid(
          { file, line: line.number, field: 'line', value: line.text },
          `has ${cells.length} cells where the header has ${columns.count}`,
          'correct or drop the row; is the file cut off?',
        )
      }
      const at = moment(file, line.number, cells[columns.time]!)
      first ??= at
      return request(file, line.number, first, at, cells[columns.input]!, cells[columns.output]!)
    }
  },
}

function request(file: string, line: number, first: Moment, at: Moment, input: string, output: string): TraceRequest {
  return {
    atMs: ((at.seconds - first.seconds) * 1e7 + (at.ticks - first.ticks)) / 1e4,
    inputTokens: tokenCount(file, line, INPUT, digits(input), 1),
    outputTokens: tokenCount(file, line, OUTPUT, digits(output), 0),
  }
}

/** Number() would take an empty cell for 0 and `0x10` for 16; what is not plain digits is handed on for the error text. */
function digits(cell: string): number | string {
  return /^-?\d+(\.\d+)?$/.test(cell) ? Number(cell) : cell
}

function columnsOf(header: string): Columns | undefined {
  const names = header.split(',').map((name) => name.trim().toLowerCase())
  const [time, input, output] = [TIME, INPUT, OUTPUT].map((name) => names.indexOf(name.toLowerCase()))
  if (time! < 0 || input! < 0 || output! < 0) return undefined
  return { time: time!, input: input!, output: output!, count: names.length }
}

function missingHeader(file: string, line: TextLine): never {
  throw traceInvalid(
    { file, line: line.number, field: 'header', value: line.text },
    `lacks a column of ${HEADER}`,
    `let the first line be ${HEADER}`,
  )
}

function moment(file: string, line: number, value: string): Moment {
  const match = DATE_TIME.exec(value)
  if (match !== null) {
    const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [
      number,
      number,
      number,
      number,
      number,
      number,
    ]
    const utc = new Date(Date.UTC(year, month - 1, day, hour, minute, second))
    // Date.UTC carries 30 February over into March, and 24:00 into the next day: only a date that comes back exists.
    const exists = utc.getUTCFullYear() === year && utc.getUTCMonth() === month - 1 && utc.getUTCDate() === day
    if (exists && minute < 60 && second < 60) {
      const offset = (match[8] === '-' ? -60 : 60) * (Number(match[9] ?? 0) * 60 + Number(match[10] ?? 0))
      return { seconds: utc.getTime() / 1000 - offset, ticks: Number((match[7] ?? '').padEnd(7, '0')) }
    }
  }
  throw traceInvalid(
    { file, line, field: TIME, value },
    'is not a date and time',
    'write it as 2023-11-16 18:17:03.9799600, with up to 7 decimals',
  )
}
