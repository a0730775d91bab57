// Amounts must mean what people write, and what could mean two things must be refused.

import { describe, expect, it } from 'vitest'
import { parseBytes, parseDuration } from '../../src/cli/units.js'

describe('parseBytes', () => {
  it.each([
    ['0', 0],
    ['65536', 65536],
    ['1b', 1],
    ['64KiB', 65536],
    ['64kib', 65536],
    ['64 KiB', 65536],
    ['64KB', 64000],
    ['1.5MiB', 1572864],
    ['2TiB', 2199023255552],
  ])('%s is %i bytes', (text, value) => {
    expect(parseBytes(text)).toEqual({ value })
  })

  it.each([
    ['64K', /64KiB .* or 64KB/],
    ['1.5B', /whole number/],
    ['9999999TiB', /whole number/],
    ['-1', /no number/],
    ['1e3', /no number|unknown unit/],
    ['0x10', /no number|unknown unit/],
    ['', /no number/],
    ['KiB', /no number/],
    ['1 constructor', /unknown unit/],
    ['NaN', /no number/],
  ])('%j is refused', (text, problem) => {
    expect(parseBytes(text)).toEqual({ problem: expect.stringMatching(problem) })
  })
})

describe('parseDuration', () => {
  it.each([
    ['0', 0],
    ['250ms', 250],
    ['1.5s', 1500],
    ['20us', 0.02],
    ['20µs', 0.02],
    ['7ns', 0.000007],
    ['2m', 120_000],
    ['1h', 3_600_000],
    ['4.35s', 4350],
  ])('%s is %d ms', (text, value) => {
    expect(parseDuration(text)).toEqual({ value })
  })

  it.each([
    ['250', /no unit; write 250ms or 250s/],
    ['-1s', /no duration/],
    ['5 fortnights', /unknown unit/],
    ['Infinity', /no duration/],
    ['99999999999999h', /too long/],
  ])('%j is refused', (text, problem) => {
    expect(parseDuration(text)).toEqual({ problem: expect.stringMatching(problem) })
  })
})
