// Reads a text file line by line, so that the head of a very large trace costs no more than the head.

import { createReadStream } from 'node:fs'
import { SeamError } from '../errors.js'
import { traceInvalid } from './invalid.js'

export interface TextLine {
  /** Counts from 1, blank lines included. */
  readonly number: number
  /** Without its line end (LF or CRLF) and blanks before it, and on line 1 without a byte order mark. */
  readonly text: string
}

/** A longer line means that the file is no line-based trace; without a limit a binary file would be read into one string. */
const LONGEST_LINE = 1 << 20

/**
 * The lines of a UTF-8 file that are not blank, in order. Stopping the loop closes the file; at most 64 KiB is read ahead.
 * @throws SeamError KVSEAM_TRACE_INVALID when the file cannot be read or a line is longer than 1 Mi characters
 */
export async function* textLines(file: string): AsyncGenerator<TextLine> {
  let number = 0
  let rest = ''
  try {
    const chunks: AsyncIterable<string> = createReadStream(file, { encoding: 'utf8', highWaterMark: 64 * 1024 })
    for await (const chunk of chunks) {
      let from = 0
      for (let end = chunk.indexOf('\n'); end >= 0; end = chunk.indexOf('\n', from)) {
        number += 1
        const line = cleaned(rest + chunk.slice(from, end), number)
        rest = ''
        from = end + 1
        if (line.text !== '') yield line
      }
      rest += chunk.slice(from)
      if (rest.length > LONGEST_LINE) {
        throw traceInvalid(
          { file, line: number + 1 },
          'the line is longer than 1 Mi characters',
          'give a text trace file',
        )
      }
    }
  } catch (error) {
    if (SeamError.is(error)) throw error
    throw unreadable(file, error)
  }
  const line = cleaned(rest, number + 1)
  if (line.text !== '') yield line
}

function cleaned(text: string, number: number): TextLine {
  const unmarked = number === 1 && text.charCodeAt(0) === 0xfeff ? text.slice(1) : text
  return { number, text: unmarked.trimEnd() }
}

function unreadable(file: string, error: unknown): SeamError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : undefined
  const [problem, remedy] =
    code === 'ENOENT'
      ? ['there is no such file', 'check the path']
      : code === 'EISDIR'
        ? ['this is a directory', 'name one trace file in it']
        : code === 'EACCES' || code === 'EPERM'
          ? ['the file may not be read', 'check its permissions']
          : [`the file cannot be read (${error instanceof Error ? error.message : String(error)})`, 'check the file']
  return traceInvalid({ file }, problem, remedy, error)
}
