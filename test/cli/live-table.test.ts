// The block must replace itself exactly, stay inside the terminal, and give the cursor back.

import { describe, expect, it } from 'vitest'
import { fitted, LiveTable, redraw } from '../../src/cli/live-table.js'
import { visibleWidth } from '../../src/cli/text.js'

/** A terminal of a fixed size that obeys the few sequences the table uses, and fails on any other. */
class FakeTerminal {
  rows: number
  columns: number
  cells: string[] = ['']
  cursor = 0
  column = 0
  hidden = false
  writes = 0

  constructor(rows: number, columns: number) {
    this.rows = rows
    this.columns = columns
  }

  write(text: string): void {
    this.writes += 1
    // biome-ignore lint/suspicious/noControlCharactersInRegex: this is a terminal
    for (const [token] of text.matchAll(/\x1b\[\??\d*[A-Za-z]|[\s\S]/gu)) this.#obey(token)
  }

  #obey(token: string): void {
    if (token.startsWith('\x1b[') && token.endsWith('A')) {
      this.cursor = Math.max(this.#top(), this.cursor - Number(token.slice(2, -1)))
    } else if (token === '\x1b[?25l') this.hidden = true
    else if (token === '\x1b[?25h') this.hidden = false
    else if (token === '\x1b[2K') this.cells[this.cursor] = ''
    else if (token === '\x1b[J')
      this.cells.splice(this.cursor, this.cells.length, (this.cells[this.cursor] ?? '').slice(0, this.column))
    else if (token === '\r') this.column = 0
    else if (token === '\n') this.#down()
    else if (token.startsWith('\x1b')) throw new Error(`unexpected sequence ${JSON.stringify(token)}`)
    else this.#print(token)
  }

  #print(char: string): void {
    if (this.column === this.columns) this.#down()
    const line = this.cells[this.cursor] ?? ''
    this.cells[this.cursor] = line.slice(0, this.column).padEnd(this.column) + char + line.slice(this.column + 1)
    this.column += 1
  }

  #down(): void {
    this.cursor += 1
    this.column = 0
    this.cells[this.cursor] ??= ''
  }

  /** First line still on the screen: what is above has scrolled away and cannot be reached. */
  #top(): number {
    return Math.max(0, this.cells.length - this.rows)
  }

  get text(): string[] {
    return this.cells.slice(0, -1)
  }
}

describe('fitted', () => {
  it('cuts lines to the width and the block to one line less than the height, saying how many are gone', () => {
    const lines = Array.from({ length: 10 }, (_, i) => `path ${i} is a long line`)
    const shown = fitted(lines, 5, 8)
    expect(shown).toEqual(['path 0 …', 'path 1 …', 'path 2 …', '… 7 more'])
    for (const line of shown) expect(visibleWidth(line)).toBeLessThanOrEqual(8)
    expect(fitted(['a', 'b'], 3, 8)).toEqual(['a', 'b'])
    expect(fitted(['a', 'b'], 1, 8)).toEqual(['… 2 more'])
  })
})

describe('redraw', () => {
  it('goes up by what was drawn, rewrites each line and clears what is left below', () => {
    expect(redraw([], ['a'], 24, 80)).toBe('\r\x1b[2Ka\n\x1b[J')
    expect(redraw(['a', 'b'], ['c'], 24, 80)).toBe('\x1b[2A\r\x1b[2Kc\n\x1b[J')
  })

  it('counts the lines that wrapped when the terminal became narrower, and never goes above its top', () => {
    expect(redraw(['x'.repeat(80), 'y'], ['z'], 24, 40)).toMatch('\x1b[3A')
    expect(redraw(['x'.repeat(80), 'y'], ['z'], 3, 10)).toMatch('\x1b[2A')
  })
})

describe('LiveTable', () => {
  it('replaces its block in place, longer or shorter, and leaves what stood above alone', () => {
    const screen = new FakeTerminal(10, 20)
    screen.write('$ kvseam demo\n')
    const live = new LiveTable({ screen })
    live.draw(['one', 'two', 'three'], 0)
    live.draw(['1', '2', '3', '4'], 100)
    expect(screen.text).toEqual(['$ kvseam demo', '1', '2', '3', '4'])
    live.draw(['last'], 200)
    live.close()
    expect(screen.text).toEqual(['$ kvseam demo', 'last'])
  })

  it('fills the full width without a line too many', () => {
    const screen = new FakeTerminal(10, 5)
    const live = new LiveTable({ screen })
    live.draw(['12345', 'abcdefgh'], 0)
    live.draw(['67890', 'ABCDEFGH'], 100)
    live.close()
    expect(screen.text).toEqual(['67890', 'ABCD…'])
  })

  it('stays whole on a terminal lower than the block', () => {
    const screen = new FakeTerminal(4, 20)
    const live = new LiveTable({ screen })
    for (let i = 0; i < 5; i++) live.draw([`a${i}`, `b${i}`, `c${i}`, `d${i}`], i * 100)
    live.close()
    expect(screen.text).toEqual(['a4', 'b4', '… 2 more'])
  })

  it('writes at most so many times a second, and shows the last state in the end', () => {
    const screen = new FakeTerminal(10, 20)
    const live = new LiveTable({ screen, maxPerSecond: 4 })
    for (let ms = 0; ms < 1000; ms++) live.draw([`state ${ms}`], ms)
    expect(screen.writes).toBe(4)
    expect(screen.text).toEqual(['state 750'])
    live.close()
    expect(screen.text).toEqual(['state 999'])
  })

  it('does not write what is already there', () => {
    const screen = new FakeTerminal(10, 20)
    const live = new LiveTable({ screen })
    expect(live.draw(['same'], 0)).toBe(true)
    expect(live.draw(['same'], 1000)).toBe(false)
    expect(screen.writes).toBe(1)
  })

  it('prints lines that stay above the block, long ones wrapped', () => {
    const screen = new FakeTerminal(10, 10)
    const live = new LiveTable({ screen })
    live.draw(['table', 'more text'], 0)
    live.print('efa0 is down')
    live.draw(['TABLE', 'MORE'], 100)
    live.print('efa0 is up')
    live.close()
    expect(screen.text).toEqual(['efa0 is do', 'wn', 'efa0 is up', 'TABLE', 'MORE'])
  })

  it('hides the cursor while it draws and gives it back once, however it ends', () => {
    const screen = new FakeTerminal(10, 20)
    const live = new LiveTable({ screen })
    live.draw(['x'], 0)
    expect(screen.hidden).toBe(true)
    live.close()
    expect(screen.hidden).toBe(false)
    const { writes } = screen
    live.close()
    live.draw(['y'], 1000)
    live.print('z')
    expect(screen.writes).toBe(writes)

    const thrown = new FakeTerminal(10, 20)
    expect(() => {
      using doomed = new LiveTable({ screen: thrown })
      doomed.draw(['x'], 0)
      throw new Error('demo failed')
    }).toThrow('demo failed')
    expect(thrown.hidden).toBe(false)
  })

  it('never touches a terminal it did not draw on', () => {
    const screen = new FakeTerminal(10, 20)
    new LiveTable({ screen }).close()
    expect(screen.writes).toBe(0)
  })

  it('does nothing without a terminal', () => {
    const live = new LiveTable({})
    expect(live.isLive).toBe(false)
    expect(live.draw(['x'], 0)).toBe(false)
    live.print('y')
    live.close()
  })
})
