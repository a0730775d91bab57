// Reads a record log back: one parsed record at a time, with what is wrong with the file said instead of guessed away.

import { createReadStream } from 'node:fs'
import { SeamError } from '../errors.js'
import { ChainCheck, unlinked } from './chain.js'

export interface LoggedRecord {
  /** Counts from 1. */
  readonly line: number
  /** The record's own JSON text, byte for byte as it was before it was chained. */
  readonly json: string
  readonly record: { readonly schema: string } & Readonly<Record<string, unknown>>
}

/** What a log's text says about itself; complete when the reading has ended. */
export interface LogCondition {
  records: number
  /** Lines that do not follow the line before them: something was changed, dropped or moved there. */
  brokenAt: number[]
  /** Records that the writer lost and counted. */
  lost: number
  /** Last lines of a writer's life that were cut off, as by a crash in the middle of one; they are left out. */
  torn: number
}

/** A decision over thousands of candidates still fits; a file without line ends is not read into memory whole. */
const LONGEST_LINE = 4 << 20
const MOST_BREAKS_KEPT = 100

/**
 * The records of a log, in order. Gap records are counted into `condition.lost` and not given out.
 * @throws KVSEAM_RECORD_LOG when the file can't be read, or a line in the middle of it is no record
 */
export async function* readLog(file: string, condition: LogCondition): AsyncGenerator<LoggedRecord> {
  const check = new ChainCheck()
  let number = 0
  let rest = ''
  let unreadable = 0 // line that may be torn: known when the next one starts a new life, or none comes
  const take = (text: string): LoggedRecord | null => {
    number += 1
    const linked = parsed(text)
    if (unreadable > 0 && linked?.['prevHash'] !== null) {
      throw invalid(file, unreadable, 'the line is no JSON object with a schema')
    }
    if (linked === null) {
      unreadable = number
      return null
    }
    const { prevHash, ...record } = linked
    if (unreadable > 0) condition.torn += 1
    unreadable = 0
    condition.records += 1
    if (!check.follows(text, prevHash) && condition.brokenAt.length < MOST_BREAKS_KEPT) {
      condition.brokenAt.push(number)
    }
    if (record.schema !== 'kvseam.gap/1') return { line: number, json: unlinked(text), record }
    condition.lost += typeof record['lost'] === 'number' ? record['lost'] : 0
    return null
  }
  try {
    const chunks: AsyncIterable<string> = createReadStream(file, { encoding: 'utf8', highWaterMark: 256 * 1024 })
    for await (const chunk of chunks) {
      let from = 0
      for (let end = chunk.indexOf('\n'); end >= 0; end = chunk.indexOf('\n', from)) {
        const text = rest + chunk.slice(from, end)
        rest = ''
        from = end + 1
        const taken = take(text)
        if (taken !== null) yield taken
      }
      rest += chunk.slice(from)
      if (rest.length > LONGEST_LINE) throw invalid(file, number + 1, 'the line is longer than 4 Mi characters')
    }
  } catch (error) {
    if (SeamError.is(error)) throw error
    const problem = error instanceof Error ? error.message : String(error)
    throw new SeamError('KVSEAM_RECORD_LOG', { file }, `the record log ${file} can't be read (${problem})`, {
      cause: error,
    })
  }
  // A record without its line end may be whole all the same: the last bytes of a killed process.
  const taken = rest === '' ? null : take(rest)
  if (taken !== null) yield taken
  if (unreadable > 0) condition.torn += 1
}

export function unread(): LogCondition {
  return { records: 0, brokenAt: [], lost: 0, torn: 0 }
}

function parsed(text: string): LoggedRecord['record'] | null {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null || !('schema' in value) || typeof value.schema !== 'string')
      return null
    return value as LoggedRecord['record']
  } catch {
    return null
  }
}

function invalid(file: string, line: number, problem: string): SeamError {
  return new SeamError(
    'KVSEAM_RECORD_LOG',
    { file, line, problem },
    `${file}:${line}: ${problem}; give a log that openSeam({ recordLog }) wrote`,
  )
}
