// Text for people: colour where it is wanted, numbers with units, columns that line up, nothing that can upset a terminal.

import { stripVTControlCharacters } from 'node:util'
import type { CommandIo } from './command.js'

type Colour = (text: string) => string

/** Each wraps a text in one SGR attribute, or gives it back as it is when colour is off. */
export interface Paint {
  readonly bold: Colour
  readonly dim: Colour
  readonly red: Colour
  readonly green: Colour
  readonly yellow: Colour
  readonly blue: Colour
  readonly magenta: Colour
  readonly cyan: Colour
}

/**
 * Whether to colour standard output. FORCE_COLOR decides first, as in Node.js itself (0 and false mean off); then NO_COLOR, any
 * value but the empty one (no-color.org); then whether it is a terminal that is not TERM=dumb.
 */
export function wantsColour(io: Pick<CommandIo, 'isTty' | 'env'>): boolean {
  const force = io.env['FORCE_COLOR']
  if (force !== undefined) return force !== '0' && force.toLowerCase() !== 'false'
  const no = io.env['NO_COLOR']
  if (no !== undefined && no !== '') return false
  return io.isTty && io.env['TERM'] !== 'dumb'
}

export function paint(io: Pick<CommandIo, 'isTty' | 'env'>): Paint {
  const on = wantsColour(io)
  const sgr =
    (start: number, end: number): Colour =>
    (text) =>
      on && text !== '' ? `\x1b[${start}m${text}\x1b[${end}m` : text
  return {
    bold: sgr(1, 22),
    dim: sgr(2, 22),
    red: sgr(31, 39),
    green: sgr(32, 39),
    yellow: sgr(33, 39),
    blue: sgr(34, 39),
    magenta: sgr(35, 39),
    cyan: sgr(36, 39),
  }
}

/** `64 KiB`, `1.50 GiB`: powers of 1024, three digits. A value that is no number shows as `-`. */
export function formatBytes(bytes: number): string {
  return scaled(bytes, 1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'])
}

/** `850 ns`, `12.3 us`, `1.50 ms`, `2 s` for a duration in nanoseconds, three digits. */
export function formatNs(ns: number): string {
  return scaled(ns, 1000, ['ns', 'us', 'ms', 's'])
}

/** `19.3 GB/s` for bytes a second: powers of 1000, as network rates are given. */
export function formatRate(bytesPerSecond: number): string {
  return scaled(bytesPerSecond, 1000, ['B/s', 'KB/s', 'MB/s', 'GB/s', 'TB/s'])
}

/** `3.35 M/s` for events a second. */
export function formatPerSecond(perSecond: number): string {
  return scaled(perSecond, 1000, ['/s', 'k/s', 'M/s', 'G/s'])
}

/** `1,234,567` for an integer; the same on every locale. */
export function formatCount(count: number): string {
  return Number.isFinite(count) ? String(Math.round(count)).replace(/\B(?=(\d{3})+(?!\d))/g, ',') : '-'
}

function scaled(value: number, base: number, units: readonly string[]): string {
  if (!Number.isFinite(value)) return '-'
  if (value < 0) return `-${scaled(-value, base, units)}`
  let rest = value
  let unit = 0
  // 1023.9 KiB rounds to 1024 KiB and 999.6 us to 1000 us: such a value belongs to the next unit.
  while (unit < units.length - 1 && Number(threeDigits(rest)) >= base) {
    rest /= base
    unit += 1
  }
  return `${threeDigits(rest)} ${units[unit]}`
}

function threeDigits(value: number): string {
  if (Number.isInteger(value)) return String(value)
  return value >= 99.95 ? value.toFixed(0) : value >= 9.995 ? value.toFixed(1) : value.toFixed(2)
}

/** Characters a text takes on a line: code points, control sequences not counted. Wide (CJK) characters are taken for one. */
export function visibleWidth(text: string): number {
  return [...stripVTControlCharacters(text)].length
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control sequences are what this matches
const SGR = /\x1b\[[0-9;]*m/y

/** The text cut to `width` characters, the last of them `…` where something was cut; colour is kept and ended. */
export function truncated(text: string, width: number): string {
  if (visibleWidth(text) <= width) return text
  if (width < 1) return ''
  let out = ''
  let room = width - 1
  let coloured = false
  for (let i = 0; i < text.length && room > 0; ) {
    SGR.lastIndex = i
    const sequence = SGR.exec(text)?.[0]
    const piece = sequence ?? String.fromCodePoint(text.codePointAt(i)!)
    if (sequence === undefined) room -= 1
    else coloured = true
    out += piece
    i += piece.length
  }
  return `${out}…${coloured ? '\x1b[0m' : ''}`
}

/**
 * A text from outside (a peer's name, a path, a file's line) made safe to print: each control character but SGR colour is
 * shown as a \x escape, so that it cannot move the cursor or retitle the terminal.
 */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this replaces
  return text.replace(/[\x00-\x1f\x7f-\x9f]/g, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`)
}

/** Lines of at most `width` characters, broken at blanks (a longer word stands alone). Never empty. */
export function wrapped(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && visibleWidth(line) + 1 + visibleWidth(word) > width) {
      lines.push(line)
      line = word
    } else {
      line = line === '' ? word : `${line} ${word}`
    }
  }
  return [...lines, line]
}

export interface TableOptions {
  /** Side each column is set to; left where the list ends. */
  readonly align?: readonly ('left' | 'right')[]
  /** Blanks between columns; 2 unless told. */
  readonly gap?: number
}

/** Rows of cells as lines whose columns line up; nothing trails on the right. Colour in a cell takes no room. */
export function table(rows: readonly (readonly string[])[], options: TableOptions = {}): string[] {
  const { align = [], gap = 2 } = options
  const widths: number[] = []
  for (const row of rows) {
    row.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, visibleWidth(cell))
    })
  }
  return rows.map((row) =>
    row
      .map((cell, column) => {
        const blanks = ' '.repeat(widths[column]! - visibleWidth(cell))
        return align[column] === 'right' ? blanks + cell : cell + blanks
      })
      .join(' '.repeat(gap))
      .trimEnd(),
  )
}
