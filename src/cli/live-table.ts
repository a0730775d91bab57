// A block of lines at the bottom of a terminal that is redrawn in place. Off a terminal it does nothing.

import type { Screen } from './command.js'
import { truncated, visibleWidth } from './text.js'

const HIDE_CURSOR = '\x1b[?25l'
const SHOW_CURSOR = '\x1b[?25h'
const CLEAR_LINE = '\x1b[2K'
const CLEAR_BELOW = '\x1b[J'

/** What fits the terminal: each line cut to its width, and one line of height left for the cursor. Pure. */
export function fitted(lines: readonly string[], rows: number, columns: number): string[] {
  const height = Math.max(1, rows - 1)
  const kept = lines.length <= height ? [...lines] : lines.slice(0, height - 1)
  if (kept.length < lines.length) kept.push(`… ${lines.length - kept.length} more`)
  return kept.map((line) => truncated(line, columns))
}

/**
 * The text that replaces the block drawn before by `lines` (already fitted), cursor below the block before and after. Pure.
 * `before` is the block now on the screen; it may have been drawn on a wider terminal, whose lines have wrapped since.
 */
export function redraw(before: readonly string[], lines: readonly string[], rows: number, columns: number): string {
  const height = before.reduce((sum, line) => sum + Math.max(1, Math.ceil(visibleWidth(line) / columns)), 0)
  // What scrolled off the top cannot be reached, and "up" stops at the top edge.
  const up = Math.min(height, Math.max(0, rows - 1))
  const start = up === 0 ? '\r' : `\x1b[${up}A\r`
  return `${start}${lines.map((line) => `${CLEAR_LINE}${line}\n`).join('')}${CLEAR_BELOW}`
}

export interface LiveTableOptions {
  /** The terminal; without one every call does nothing. */
  readonly screen?: Screen | undefined
  /** Most redraws a second; 10 unless told. */
  readonly maxPerSecond?: number
}

/** Draw as often as you like: it writes at most so many times a second, and only what changed. Close it, whatever happens. */
export class LiveTable implements Disposable {
  readonly #screen: Screen | undefined
  readonly #gapMs: number
  #shown: string[] = []
  #waiting: readonly string[] | undefined
  #lastMs = Number.NEGATIVE_INFINITY
  #hidden = false
  #closed = false

  constructor(options: LiveTableOptions) {
    this.#screen = options.screen
    this.#gapMs = 1000 / (options.maxPerSecond ?? 10)
  }

  /** Whether there is a terminal to draw on; off one, print plain lines instead. */
  get isLive(): boolean {
    return this.#screen !== undefined
  }

  /**
   * Shows `lines` in place of the block before. What comes too soon after the last redraw waits for the next call (or close).
   * @param nowMs any clock that does not go back, milliseconds
   * @returns whether something was written
   */
  draw(lines: readonly string[], nowMs: number): boolean {
    if (this.#closed || this.#screen === undefined) return false
    this.#waiting = lines
    if (nowMs - this.#lastMs < this.#gapMs) return false
    this.#lastMs = nowMs
    return this.#write()
  }

  /** Prints a line that stays, above the block, at once; a long one wraps. Off a terminal it does nothing. */
  print(line: string): void {
    const screen = this.#screen
    if (this.#closed || screen === undefined) return
    const { rows, columns } = screen
    const block = fitted(this.#waiting ?? this.#shown, rows, columns)
    // The block is cleared first: the line may wrap, and would else run into what is left of it.
    const cleared = redraw(this.#shown, [], rows, columns)
    screen.write(`${this.#hide()}${cleared}${line}\n${block.map((each) => `${each}\n`).join('')}`)
    this.#shown = block
    this.#waiting = undefined
  }

  /** Shows what still waits, gives the cursor back and leaves the last block standing. Later calls do nothing. */
  close(): void {
    if (this.#closed) return
    this.#write()
    this.#closed = true
    if (this.#hidden) this.#screen?.write(SHOW_CURSOR)
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #write(): boolean {
    const screen = this.#screen
    if (screen === undefined || this.#waiting === undefined) return false
    const { rows, columns } = screen
    const lines = fitted(this.#waiting, rows, columns)
    this.#waiting = undefined
    if (lines.length === this.#shown.length && lines.every((line, i) => line === this.#shown[i])) return false
    screen.write(this.#hide() + redraw(this.#shown, lines, rows, columns))
    this.#shown = lines
    return true
  }

  #hide(): string {
    if (this.#hidden) return ''
    this.#hidden = true
    return HIDE_CURSOR
  }
}
