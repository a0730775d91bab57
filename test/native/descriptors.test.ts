// Descriptor lists: how they are made, that every block lands in its place, and what is refused.

import { describe, expect, it } from 'vitest'
import { Descriptors } from '../../src/native/descriptors.js'
import { openFor, openPair } from './pair.js'
import { expectRefusal } from './refusal.js'

/** llama-3.1-70b at 8 ranks and 8,192 tokens: 80 layers, K and V, 512 blocks; and the same at 4,096 tokens. */
const SHAPES = [
  { descriptors: 40_960, parts: 160, blocks: 256 },
  { descriptors: 81_920, parts: 160, blocks: 512 },
] as const
const BLOCK_BYTES = 64

function scattered(count: number, seed: number): Uint32Array {
  const ids = Uint32Array.from({ length: count }, (_, i) => i)
  for (let i = count - 1, word = seed; i > 0; i--) {
    word = (Math.imul(word, 1_664_525) + 1_013_904_223) >>> 0
    const other = word % (i + 1)
    ;[ids[i], ids[other]] = [ids[other]!, ids[i]!]
  }
  return ids
}

describe('a list of blocks', () => {
  it.each(SHAPES)(
    'of $descriptors descriptors moves every block to its place',
    async ({ descriptors, parts, blocks }) => {
      const poolBlocks = blocks * 2
      const strideBytes = poolBlocks * BLOCK_BYTES
      const { seam, kv, slots } = await openPair({ bytes: parts * strideBytes })
      const layout = { blockBytes: BLOCK_BYTES, parts, strideBytes }
      const fromIds = scattered(poolBlocks, 3).subarray(0, blocks)
      const toIds = scattered(poolBlocks, 5).subarray(0, blocks)
      const from = kv.layout(layout).of(fromIds)
      const to = slots.layout(layout).of(toIds)
      expect(from.count).toBe(descriptors)
      expect(from.bytes).toBe(descriptors * BLOCK_BYTES)
      const moved = await seam.handoff({ from, to, workload: 'batch' })
      expect(moved.verified).toBe(true)
      // The digest goes by list order; that the order is the right one is checked block by block here.
      const source = Buffer.from(kv.view().buffer)
      const target = Buffer.from(slots.view().buffer)
      let wrong = 0
      for (let part = 0; part < parts; part++) {
        for (let i = 0; i < blocks; i++) {
          const at = part * strideBytes + fromIds[i]! * BLOCK_BYTES
          const there = part * strideBytes + toIds[i]! * BLOCK_BYTES
          if (source.compare(target, there, there + BLOCK_BYTES, at, at + BLOCK_BYTES) !== 0) wrong++
        }
      }
      expect(wrong).toBe(0)
      // What no descriptor names is left alone.
      const touched = new Set(toIds)
      const untouched = [...Array(poolBlocks).keys()].find((id) => !touched.has(id))!
      expect(target.subarray(untouched * BLOCK_BYTES, (untouched + 1) * BLOCK_BYTES).every((byte) => byte === 0)).toBe(
        true,
      )
    },
  )

  it('coalesces neighbours of one side, whatever form the ids come in', async () => {
    const { kv } = await openPair({ bytes: 64 * 16 })
    expect(kv.blocks(16).runs).toBe(1)
    expect(kv.blocks(16).count).toBe(64)
    expect(kv.blocks(16, [3, 4, 5, 9, 8, 10, 11]).runs).toBe(4)
    expect(kv.blocks(16, Uint32Array.of(3, 4, 5, 9, 8, 10, 11)).runs).toBe(4)
    expect(kv.runs([0, 16, 48], [16, 16, 16]).runs).toBe(2)
    expect(kv.runs(Float64Array.of(0, 16, 32), Float64Array.of(16, 16, 16)).runs).toBe(1)
    expect(kv.blocks(16, []).count).toBe(0)
    expect(kv.blocks(16, new Uint32Array(0)).bytes).toBe(0)
  })

  it('copies the ids, so that the caller may reuse the array', async () => {
    const { seam, kv, slots } = await openPair()
    const ids = Uint32Array.of(1)
    const from = kv.blocks(64, ids)
    ids[0] = 7
    const to = slots.blocks(64, [0])
    await seam.handoff({ from, to, workload: 'batch' })
    expect(slots.read(0, 64)).toEqual(kv.read(64, 64))
  })

  it('is prepared once for each agent that posts with it, and given back', async () => {
    const { seam, prefill, decode, kv, slots } = await openPair()
    const lists = () => [prefill.counters.descriptorLists, decode.counters.descriptorLists]
    const before = lists()
    {
      using from = kv.blocks(64, [1, 2, 3])
      using to = slots.blocks(64, [4, 5, 6])
      for (let i = 0; i < 5; i++) await seam.handoff({ from, to, workload: 'batch' })
      // The source is known to its owner and to the agent that reads.
      expect(lists()).toEqual([before[0]! + 1, before[1]! + 2])
    }
    expect(lists()).toEqual(before)
  })

  it('is refused after release(), and a joined list does not depend on its parts', async () => {
    const { seam, prefill, decode, kv, slots } = await openPair()
    const parts = [kv.range(0, 64), kv.range(128, 64)]
    const joined = Descriptors.join(parts)
    for (const part of parts) part.release()
    await expectRefusal(() => parts[0]!.runs, { code: 'KVSEAM_CLOSED', says: ['released', 'region.blocks()'] })
    const to = slots.runs([0, 64], [64, 64])
    expect(joined.count).toBe(2)
    await seam.handoff({ from: joined, to, workload: 'batch' })
    expect(slots.read(64, 64)).toEqual(kv.read(128, 64))
    await expectRefusal(
      async () => await seam.handoff({ from: parts[0]!, to: slots.range(0, 64), workload: 'batch' }),
      {
        code: 'KVSEAM_CLOSED',
        says: ['released'],
      },
    )
    joined.release()
    to.release()
    expect([prefill.counters.descriptorLists, decode.counters.descriptorLists]).toEqual([0, 1])
  })

  it('has the digest of its blocks in order', async () => {
    const { kv } = await openPair({ bytes: 1 << 16 })
    kv.write(Buffer.from('123456789'), 100)
    // The check value of CRC-32C (Castagnoli).
    expect(await kv.range(100, 9).digest()).toBe(0xe3069283)
    expect(await kv.runs([100, 104], [4, 5]).digest()).toBe(0xe3069283)
    expect(await kv.runs([104, 100], [5, 4]).digest()).not.toBe(0xe3069283)
    expect(await kv.runs([0, 100, 104, 300], [8, 4, 5, 8]).digest(1, 2)).toBe(0xe3069283)
    expect(await kv.blocks(64, []).digest()).toBe(0)
  })
})

describe('bad input', () => {
  const cases: [string, (region: Awaited<ReturnType<typeof openPair>>['kv']) => unknown, string, string[]][] = [
    ['a negative offset', (kv) => kv.range(-1, 1), 'KVSEAM_OUT_OF_BOUNDS', ['offset is -1']],
    ['an offset that is not a number', (kv) => kv.range(Number.NaN, 1), 'KVSEAM_OUT_OF_BOUNDS', ['offset is NaN']],
    ['a fraction', (kv) => kv.range(0, 0.5), 'KVSEAM_OUT_OF_BOUNDS', ['bytes is 0.5']],
    ['a length as text', (kv) => kv.range(0, '64' as never), 'KVSEAM_INVALID_ARGUMENT', ['bytes is "64"']],
    ['a length above 2^53', (kv) => kv.range(0, 2 ** 53), 'KVSEAM_OUT_OF_BOUNDS', ['bytes is 9007199254740992']],
    [
      'a run past the end',
      (kv) => kv.range(4000, 97),
      'KVSEAM_OUT_OF_BOUNDS',
      ['offset 4000', 'length 97', '4096 bytes'],
    ],
    [
      'offset and length whose sum would overflow',
      (kv) => kv.range(Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER),
      'KVSEAM_OUT_OF_BOUNDS',
      ['ends outside region'],
    ],
    ['a negative offset among runs', (kv) => kv.runs([0, -8], [8, 8]), 'KVSEAM_OUT_OF_BOUNDS', ['descriptor 1', '-8']],
    ['NaN among runs', (kv) => kv.runs([0], [Number.NaN]), 'KVSEAM_OUT_OF_BOUNDS', ['descriptor 0', 'nan']],
    ['a fraction among runs', (kv) => kv.runs([0.25], [1]), 'KVSEAM_OUT_OF_BOUNDS', ['descriptor 0', '0.25']],
    ['2^54 among runs', (kv) => kv.runs([2 ** 54], [1]), 'KVSEAM_OUT_OF_BOUNDS', ['descriptor 0', '18014398509481984']],
    [
      'more offsets than lengths',
      (kv) => kv.runs([0, 8], [8]),
      'KVSEAM_INVALID_DESCRIPTOR',
      ['2 offsets and 1 lengths', 'both need one entry'],
    ],
    ['offsets of the wrong type', (kv) => kv.runs('0' as never, [8]), 'KVSEAM_INVALID_ARGUMENT', ['offsets is "0"']],
    ['text among the lengths', (kv) => kv.runs([0], ['8'] as never), 'KVSEAM_INVALID_ARGUMENT', ['lengths is']],
    ['no lengths', (kv) => kv.runs([0], undefined as never), 'KVSEAM_INVALID_ARGUMENT', ['lengths is undefined']],
    ['a block id past the pool', (kv) => kv.blocks(64, [0, 64]), 'KVSEAM_OUT_OF_BOUNDS', ['block id 64', 'ids 0..63']],
    ['a negative block id', (kv) => kv.blocks(64, [-1]), 'KVSEAM_OUT_OF_BOUNDS', ['ids[0] is -1']],
    [
      'a block id that is not a number',
      (kv) => kv.blocks(64, [0, Number.NaN]),
      'KVSEAM_OUT_OF_BOUNDS',
      ['ids[1] is NaN'],
    ],
    ['a BigInt block id', (kv) => kv.blocks(64, [1n] as never), 'KVSEAM_INVALID_ARGUMENT', ['ids[0] is 1n']],
    ['a block id above 2^32', (kv) => kv.blocks(64, [2 ** 32]), 'KVSEAM_OUT_OF_BOUNDS', ['ids[0] is 4294967296']],
    ['ids of the wrong type', (kv) => kv.blocks(64, 'all' as never), 'KVSEAM_INVALID_ARGUMENT', ['ids is "all"']],
    ['blocks of no bytes', (kv) => kv.blocks(0), 'KVSEAM_OUT_OF_BOUNDS', ['blockBytes is 0']],
    ['blocks of text', (kv) => kv.blocks('64' as never), 'KVSEAM_INVALID_ARGUMENT', ['blockBytes is "64"']],
    ['no layout', (kv) => kv.layout(undefined as never), 'KVSEAM_INVALID_ARGUMENT', ['layout is undefined']],
    [
      'parts without a stride',
      (kv) => kv.layout({ blockBytes: 64, parts: 2 }).of([0]),
      'KVSEAM_OUT_OF_BOUNDS',
      ['2 parts of 0 bytes'],
    ],
    [
      'more parts than fit',
      (kv) => kv.layout({ blockBytes: 64, parts: 3, strideBytes: 2048 }).of([0]),
      'KVSEAM_OUT_OF_BOUNDS',
      ['3 parts of 2048 bytes', '4096'],
    ],
    [
      'a layout that begins outside',
      (kv) => kv.layout({ blockBytes: 64, offset: 5000 }).of([]),
      'KVSEAM_OUT_OF_BOUNDS',
      ['baseOffset 5000'],
    ],
    [
      'more descriptors than a list holds',
      (kv) => kv.layout({ blockBytes: 1, parts: 4096, strideBytes: 1 }).of(new Uint32Array(1025)),
      'KVSEAM_INVALID_DESCRIPTOR',
      ['4198400 descriptors', 'at most 4194304', 'split'],
    ],
    [
      'a digest of a range outside',
      async (kv) => await kv.blocks(64).digest(60, 5),
      'KVSEAM_OUT_OF_BOUNDS',
      ['count is 5'],
    ],
    ['joining nothing', () => Descriptors.join([]), 'KVSEAM_INVALID_ARGUMENT', ['lists is empty']],
    ['joining what is no list', () => Descriptors.join([5] as never), 'KVSEAM_INVALID_ARGUMENT', ['lists is Array']],
  ]
  it.each(cases)('%s is refused and leaves no list behind', async (_, call, code, says) => {
    const { kv, prefill } = await openPair({ bytes: 4096 })
    await expectRefusal(() => call(kv), { code: code as never, says })
    // Only the list that a valid call before the refusal made may be there.
    expect(prefill.counters.descriptorLists).toBeLessThanOrEqual(
      code === 'KVSEAM_OUT_OF_BOUNDS' && _.includes('digest') ? 1 : 0,
    )
  })

  it('a list of two agents, and a region of an agent that is not connected', async () => {
    const { seam, kv, slots } = await openPair()
    await expectRefusal(() => Descriptors.join([kv.range(0, 8), slots.range(0, 8)]), {
      code: 'KVSEAM_INVALID_ARGUMENT',
      says: ['different agents'],
    })
    const stranger = await (await openFor()).agent('stranger-0')
    const far = stranger.allocate(64)
    await expectRefusal(
      async () => await seam.handoff({ from: far.range(0, 64), to: slots.range(0, 64), workload: 'batch' }),
      {
        code: 'KVSEAM_NO_PATH',
        says: ["from 'stranger-0'"],
      },
    )
    await expectRefusal(() => far.range(0, 64).listFor(kv.agent), {
      code: 'KVSEAM_FOREIGN_REGION',
      says: ["not connected to 'stranger-0'", 'connect()'],
    })
  })

  it('a digest of blocks that a peer owns', async () => {
    const { seam, decode } = await openPair()
    const other = await openFor()
    const owner = await other.agent('owner-0')
    owner.allocate(64, { name: 'pool' })
    const peer = await seam.connect(decode, owner.metadata())
    await expectRefusal(async () => await peer.region('pool').range(0, 8).digest(), {
      code: 'KVSEAM_FOREIGN_REGION',
      says: ["'pool'", 'owner'],
    })
    await expectRefusal(() => peer.region('pol'), { code: 'KVSEAM_STALE_REGION', says: ["'pol'", 'pool'] })
  })
})
