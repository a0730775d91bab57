// What a sweep runs over: lists, doublings and models come out as typed, nonsense is refused with the part at fault.

import { describe, expect, test } from 'vitest'
import { modelCell, parseCounts, parseSizes, rawCells, sizeName } from '../../src/bench/axes.js'

const KIB = 1024

describe('the axes of a sweep', () => {
  test('are lists, ranges by doubling, and both', () => {
    expect(parseSizes('block', '4KiB,64KiB')).toEqual([4 * KIB, 64 * KIB])
    expect(parseSizes('block', '4KiB..32KiB')).toEqual([4 * KIB, 8 * KIB, 16 * KIB, 32 * KIB])
    expect(parseCounts('batch', '1..8,3,4')).toEqual([1, 2, 4, 8, 3])
    expect(parseCounts('batch', '3..20')).toEqual([3, 6, 12])
  })

  test('that make no sense are refused with the part at fault', () => {
    for (const text of ['', '4K', '64KiB..4KiB', '1..2..3', '0', 'x', '-1', '4KiB,,8KiB']) {
      expect(() => parseSizes('block', text), text).toThrow(expect.objectContaining({ code: 'KVSEAM_USAGE' }))
    }
    expect(() => parseCounts('batch', '1,two')).toThrow(/--batch "two"/)
    expect(() => parseCounts('batch', '1.5')).toThrow(expect.objectContaining({ code: 'KVSEAM_USAGE' }))
    expect(() => parseCounts('batch', Array.from({ length: 65 }, (_, i) => i + 1).join(','))).toThrow(/64 are the most/)
  })

  test('give every block size with every batch size, each with a name of its own', () => {
    const cells = rawCells([4 * KIB, 1000], [1, 16])
    expect(cells.map(({ name, transferBytes }) => [name, transferBytes])).toEqual([
      ['4KiB x 1', 4 * KIB],
      ['4KiB x 16', 64 * KIB],
      ['1000B x 1', 1000],
      ['1000B x 16', 16_000],
    ])
  })

  test('of a model are one rank of one prompt', () => {
    expect(modelCell({ model: 'llama-3.1-70b', tokens: 8192, tp: 8 })).toMatchObject({
      blockBytes: 4 * KIB,
      batch: 512,
      parts: 160,
      descriptors: 81_920,
      transferBytes: 320 * KIB * KIB,
    })
  })

  test('write sizes so that they can be typed again', () => {
    for (const bytes of [1, 1000, KIB, 3 * KIB, 1.5 * KIB * KIB, KIB ** 3]) {
      expect(parseSizes('block', sizeName(bytes))).toEqual([bytes])
    }
  })
})
