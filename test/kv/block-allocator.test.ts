// No block may be handed out twice, none may be lost, and the order must be the one an engine's free list gives.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { contiguousRuns, KvBlockAllocator } from '../../src/kv/block-allocator.js'

const ids = (array: Uint32Array | null) => (array === null ? null : [...array])

describe('KvBlockAllocator', () => {
  it('gives the block that has been free longest, and takes a request back last block first', () => {
    const pool = new KvBlockAllocator({ blocks: 6 })
    const a = pool.allocate(2)!
    const b = pool.allocate(2)!
    expect([...a, ...b]).toEqual([0, 1, 2, 3])
    pool.free(a)
    expect(ids(pool.allocate(4))).toEqual([4, 5, 1, 0])
  })

  it('counts free, used and peak blocks', () => {
    const pool = new KvBlockAllocator({ blocks: 10 })
    const a = pool.allocate(7)!
    pool.free(a)
    pool.allocate(3)
    expect([pool.freeBlocks, pool.usedBlocks, pool.peakUsedBlocks]).toEqual([7, 3, 7])
  })

  it('gives null and takes nothing when too few are free', () => {
    const pool = new KvBlockAllocator({ blocks: 4 })
    pool.allocate(3)
    expect(pool.allocate(2)).toBeNull()
    expect(pool.freeBlocks).toBe(1)
    expect(ids(pool.allocate(1))).toEqual([3])
    expect(pool.allocate(1)).toBeNull()
    expect(ids(pool.allocate(0))).toEqual([])
  })

  it('scatters a request after requests have ended out of order', () => {
    const pool = new KvBlockAllocator({ blocks: 64 })
    const requests = Array.from({ length: 16 }, () => pool.allocate(4)!)
    for (const request of [3, 9, 1, 14, 6, 11]) pool.free(requests[request]!)
    const scattered = pool.allocate(20)!
    expect(contiguousRuns(requests[0]!)).toBe(1)
    expect(contiguousRuns(scattered)).toBe(20)
  })

  it('starts scattered, and the same for the same seed, when churned', () => {
    const first = new KvBlockAllocator({ blocks: 1000, churnSeed: 5 }).allocate(1000)!
    const again = new KvBlockAllocator({ blocks: 1000, churnSeed: 5 }).allocate(1000)!
    const other = new KvBlockAllocator({ blocks: 1000, churnSeed: 6 }).allocate(1000)!
    expect(first).toEqual(again)
    expect(first).not.toEqual(other)
    expect(contiguousRuns(first)).toBeGreaterThan(950)
    expect([...first].sort((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, i) => i))
  })

  it.each([
    ['already free', [2]],
    ['listed twice', [0, 1, 0]],
    ['outside a pool of 4', [1, 4]],
  ])('refuses to free a block that is %s, and frees nothing then', (why, list) => {
    const pool = new KvBlockAllocator({ blocks: 4 })
    const mine = pool.allocate(2)!
    expect(() => pool.free(Uint32Array.from(list))).toThrowError(
      expect.objectContaining({ code: 'KVSEAM_INVALID_ARGUMENT', message: expect.stringContaining(why) }),
    )
    expect(pool.usedBlocks).toBe(2)
    pool.free(mine)
    expect(pool.freeBlocks).toBe(4)
  })

  it.each([0, -1, 1.5, 2 ** 32, Number.NaN])('refuses a pool of %d blocks', (blocks) => {
    expect(() => new KvBlockAllocator({ blocks })).toThrow(/blocks must be/)
  })

  it.each([-1, 0.5, Number.NaN])('refuses to allocate %d blocks', (count) => {
    expect(() => new KvBlockAllocator({ blocks: 4 }).allocate(count)).toThrow(/count must be/)
  })

  it('never hands out a block in use nor loses one, whatever the calls', () => {
    const step = fc.oneof(fc.record({ take: fc.nat({ max: 12 }) }), fc.record({ free: fc.nat({ max: 20 }) }))
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 30 }), fc.array(step, { maxLength: 60 }), (blocks, steps) => {
        const pool = new KvBlockAllocator({ blocks, churnSeed: 1 })
        const held: Uint32Array[] = []
        for (const each of steps) {
          if ('take' in each) {
            const got = pool.allocate(each.take)
            expect(got === null).toBe(each.take > blocks - held.reduce((sum, list) => sum + list.length, 0))
            if (got !== null) held.push(got)
          } else if (held.length > 0) {
            pool.free(held.splice(each.free % held.length, 1)[0]!)
          }
          const inUse = held.flatMap((list) => [...list])
          expect(new Set(inUse).size).toBe(inUse.length)
          expect(pool.usedBlocks).toBe(inUse.length)
        }
      }),
    )
  })
})
