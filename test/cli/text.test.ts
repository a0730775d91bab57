// Text for people: right numbers, right widths, colour only where it is wanted, no foreign control characters.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  formatBytes,
  formatCount,
  formatNs,
  formatPerSecond,
  formatRate,
  paint,
  printable,
  table,
  truncated,
  visibleWidth,
  wantsColour,
  wrapped,
} from '../../src/cli/text.js'

const RED = '\x1b[31m'

describe('colour', () => {
  it.each([
    [true, {}, true],
    [false, {}, false],
    [true, { NO_COLOR: '1' }, false],
    [true, { NO_COLOR: '' }, true],
    [true, { TERM: 'dumb' }, false],
    [false, { FORCE_COLOR: '1' }, true],
    [false, { FORCE_COLOR: '' }, true],
    [true, { FORCE_COLOR: '0' }, false],
    [true, { FORCE_COLOR: 'false' }, false],
    [false, { FORCE_COLOR: '1', NO_COLOR: '1' }, true],
  ])('terminal %s with %j: %s', (isTty, env, expected) => {
    expect(wantsColour({ isTty, env })).toBe(expected)
    expect(paint({ isTty, env }).red('x')).toBe(expected ? `${RED}x\x1b[39m` : 'x')
  })
})

describe('numbers', () => {
  it.each([
    [formatBytes(0), '0 B'],
    [formatBytes(1023), '1023 B'],
    [formatBytes(65536), '64 KiB'],
    [formatBytes(1.5 * 2 ** 30), '1.50 GiB'],
    [formatBytes(2 ** 20 - 1), '1.00 MiB'],
    [formatBytes(-2048), '-2 KiB'],
    [formatBytes(Number.NaN), '-'],
    [formatNs(850), '850 ns'],
    [formatNs(12_345), '12.3 us'],
    [formatNs(999_600), '1.00 ms'],
    [formatNs(9_996_000), '10.0 ms'],
    [formatNs(2e9), '2 s'],
    [formatNs(5.4e12), '5400 s'],
    [formatRate(19.34e9), '19.3 GB/s'],
    [formatPerSecond(3_350_000), '3.35 M/s'],
    [formatCount(1234567), '1,234,567'],
    [formatCount(-1000), '-1,000'],
    [formatCount(Number.POSITIVE_INFINITY), '-'],
  ])('%s', (shown, expected) => {
    expect(shown).toBe(expected)
  })
})

describe('width', () => {
  it('does not count colour', () => {
    expect(visibleWidth(`${RED}né\x1b[39m…`)).toBe(3)
  })

  it('cuts to the width, keeps colour and ends it', () => {
    expect(truncated('abcdef', 6)).toBe('abcdef')
    expect(truncated('abcdef', 4)).toBe('abc…')
    expect(truncated(`${RED}abcdef\x1b[39m`, 4)).toBe(`${RED}abc…\x1b[0m`)
    expect(truncated('abc', 0)).toBe('')
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary', maxLength: 30 }).map(printable),
        fc.integer({ min: 1, max: 30 }),
        (text, width) => {
          expect(visibleWidth(truncated(text, width))).toBe(Math.min(visibleWidth(text), width))
        },
      ),
    )
  })

  it('shows control characters from outside instead of obeying them', () => {
    expect(printable('a\x1b]0;title\x07\r\n\x9b2J')).toBe('a\\x1b]0;title\\x07\\x0d\\x0a\\x9b2J')
  })

  it('breaks at blanks and leaves a long word whole', () => {
    expect(wrapped('a bb ccc dddddddd e', 5)).toEqual(['a bb', 'ccc', 'dddddddd', 'e'])
    expect(wrapped('', 5)).toEqual([''])
  })
})

describe('table', () => {
  it('lines columns up by what is seen, to either side, with nothing trailing', () => {
    const rows = [
      ['path', 'p99'],
      [`${RED}a>b\x1b[39m`, '1.2 ms'],
      ['prefill-0/efa0', ''],
    ]
    expect(table(rows, { align: ['left', 'right'] })).toEqual([
      'path               p99',
      `${RED}a>b\x1b[39m             1.2 ms`,
      'prefill-0/efa0',
    ])
    expect(table([])).toEqual([])
  })
})
