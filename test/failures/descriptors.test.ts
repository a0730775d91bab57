// Rows 10, 11 and 13: lists that do not fit together, numbers that are no offsets, nothing, one byte, and far too much.

import fc from 'fast-check'
import { describe, expect } from 'vitest'
import { SeamError } from '../../src/errors.js'
import { row } from './row.js'
import { BLOCK, BLOCKS, Subject } from './subject.js'

const SIZE = BLOCK * BLOCKS

/** Numbers at every edge that matters, and anything in between. */
const odd = fc.oneof(
  fc.constantFrom(
    Number.NaN,
    Number.POSITIVE_INFINITY,
    -1,
    -0.5,
    0.5,
    SIZE,
    SIZE + 1,
    2 ** 32,
    2 ** 53,
    2 ** 63,
    2 ** 64,
    -0,
  ),
  fc.constantFrom<unknown>(10n, '7', null, undefined, {}, [3]),
  fc.double(),
  fc.integer({ min: -5, max: SIZE + 5 }),
)

function fits(offset: unknown, bytes: unknown): boolean {
  const whole = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0
  return whole(offset) && whole(bytes) && bytes <= SIZE && offset <= SIZE - bytes
}

describe('descriptors', () => {
  row(10, 'that do not match one by one are refused at submit, and nothing is posted', async () => {
    const subject = await Subject.open()
    const { seam, source, target } = subject
    const pairs = [
      [source.blocks(BLOCK, [0, 1]), target.blocks(BLOCK, [0])],
      [source.blocks(BLOCK, [0]), target.range(0, BLOCK - 1)],
      [source.runs([0, 10], [10, 20]), target.runs([0, 20], [20, 10])],
    ] as const
    for (const [from, to] of pairs) {
      await expect(seam.handoff({ from, to, workload: 'batch', verify: 'off' })).rejects.toMatchObject({
        code: 'KVSEAM_INVALID_DESCRIPTOR',
      })
    }
    expect(subject.decode.counters.posted).toBe(0)
    for (const path of seam.paths) expect(path.health.activeSessions).toBe(0)
  })

  row(11, 'out of bounds, overflowing or no numbers at all are refused before anything native happens', async () => {
    const subject = await Subject.open()
    const outcome = (make: () => { release(): void }): string => {
      try {
        make().release()
        return 'made'
      } catch (error) {
        if (SeamError.is(error)) return error.code
        throw error
      }
    }
    fc.assert(
      fc.property(odd, odd, (offset, bytes) => {
        const made = outcome(() => subject.target.range(offset as number, bytes as number))
        if (fits(offset, bytes)) expect(made).toBe('made')
        else expect(made).toMatch(/^KVSEAM_(OUT_OF_BOUNDS|INVALID_ARGUMENT|INVALID_DESCRIPTOR)$/)
      }),
      { numRuns: 2000 },
    )
    fc.assert(
      fc.property(odd, odd, (blockBytes, id) => {
        const made = outcome(() => subject.target.blocks(blockBytes as number, [id as number]))
        const good = Number.isSafeInteger(blockBytes) && (blockBytes as number) > 0 && Number.isInteger(id)
        if (!good || !((id as number) >= 0 && ((id as number) + 1) * (blockBytes as number) <= SIZE))
          expect(made).not.toBe('made')
        else expect(made).toBe('made')
      }),
      { numRuns: 2000 },
    )
    expect(subject.decode.counters.posted).toBe(0)
    subject.shadow.checkCanaries([])
  })

  row(13, 'of nothing, of one byte and of far too many parts have a defined result', async () => {
    const subject = await Subject.open()
    const { seam, source, target } = subject
    source.view().fill(7)
    const none = await seam.handoff({ from: source.range(0, 0), to: target.range(0, 0), workload: 'batch' })
    expect(none.bytes).toBe(0)
    subject.shadow.checkCanaries([])
    await seam.handoff({ from: source.range(SIZE - 1, 1), to: target.range(3, 1), workload: 'batch' })
    expect([...target.view().subarray(2, 5)]).toEqual([0xa5, 7, 0xa5])
    const most = 2 ** 22
    expect(source.blocks(1, new Uint32Array(most)).count).toBe(most)
    expect(() => source.blocks(1, new Uint32Array(most + 1))).toThrow(expect.objectContaining({ name: 'SeamError' }))
  })
})
