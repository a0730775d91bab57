// Regions: bytes that C++ owns, views that come and go, copies in and out, and what is refused.

import { describe, expect, it } from 'vitest'
import { admit, openPair, post } from './pair.js'
import { expectRefusal } from './refusal.js'

describe('a region', () => {
  it('is zeroed, and its view, write() and read() are the same bytes', async () => {
    const { prefill } = await openPair()
    const region = prefill.allocate(4096)
    expect(region.view().every((byte) => byte === 0)).toBe(true)
    region.view()[7] = 42
    expect(region.read(7, 1)).toEqual(Uint8Array.of(42))
    region.write(Uint8Array.of(1, 2, 3), 4093)
    expect([...region.view().subarray(4092)]).toEqual([0, 1, 2, 3])
    expect(region.view()).toBe(region.view())
  })

  it('takes any view of bytes, also the middle of a shared buffer', async () => {
    const { kv } = await openPair()
    const pool = Buffer.from('xxhelloxx')
    kv.write(pool.subarray(2, 7), 100)
    kv.write(new Uint16Array([0x6968]), 105)
    expect(Buffer.from(kv.read(100, 7)).toString()).toBe('hellohi')
  })

  it('gives a new view of the same bytes after the old one was transferred away', async () => {
    const { kv } = await openPair()
    const first = kv.view()
    first[0] = 9
    try {
      // Node 20 copies, later versions throw or detach; the region must not care.
      structuredClone(first.buffer, { transfer: [first.buffer as ArrayBuffer] })
    } catch (error) {
      expect((error as Error).name).toBe('DataCloneError')
    }
    expect(kv.view()[0]).toBe(9)
    expect(kv.view().byteLength).toBe(kv.bytes)
  })

  it('keeps its bytes for a view that outlives it, and its agent', async () => {
    const { seam, prefill } = await openPair()
    const region = prefill.allocate(64)
    const view = region.view()
    view.fill(5)
    await region.close()
    expect(view[63]).toBe(5)
    await seam.close()
    expect(view[63]).toBe(5)
    view[63] = 6
    expect(view[63]).toBe(6)
  })

  it('closes once, frees its name, and is stale afterwards', async () => {
    const { prefill } = await openPair()
    const before = prefill.counters.regions
    const region = prefill.allocate(64, { name: 'again' })
    const list = region.range(0, 64)
    await region.close()
    await region.close()
    expect(region.closed).toBe(true)
    expect(prefill.counters.regions).toBe(before)
    for (const use of [
      () => region.read(),
      () => region.write(Uint8Array.of(1)),
      () => region.view(),
      () => region.range(0, 1),
    ]) {
      await expectRefusal(use, { code: 'KVSEAM_STALE_REGION', says: ['closed', 'allocate it again'] })
    }
    const other = prefill.allocate(64, { name: 'again' })
    expect(other.handle).not.toBe(region.handle)
    list.release()
  })

  it('refuses to close under a transfer, unchanged, and closes when the transfer is over', async () => {
    const { seam, kv, slots } = await openPair()
    const decision = admit(seam, { bytes: 4096 })
    const faults = seam.faults.arm('*.read=pause')
    const transfer = post(decision, kv.range(0, 4096), slots.range(0, 4096))
    await faults.whenPaused()
    const error = await expectRefusal(async () => await slots.close(), {
      code: 'KVSEAM_REGION_BUSY',
      says: ['slots', '1 transfer(s)', 'drainMs'],
    })
    expect(error.retryable).toBe(true)
    expect(slots.closed).toBe(false)
    faults.resume()
    const closing = slots.close({ drainMs: 20_000 })
    await transfer.settled
    await closing
    expect(slots.closed).toBe(true)
  })

  it('is closed by Symbol.asyncDispose', async () => {
    const { prefill } = await openPair()
    const region = prefill.allocate(64)
    await region[Symbol.asyncDispose]()
    expect(region.closed).toBe(true)
  })
})

describe('bad input', () => {
  it.each([
    [0, 'KVSEAM_OUT_OF_BOUNDS', 'bytes is 0'],
    [-1, 'KVSEAM_OUT_OF_BOUNDS', 'bytes is -1'],
    [1.5, 'KVSEAM_OUT_OF_BOUNDS', 'bytes is 1.5'],
    [Number.NaN, 'KVSEAM_OUT_OF_BOUNDS', 'bytes is NaN'],
    [Number.POSITIVE_INFINITY, 'KVSEAM_OUT_OF_BOUNDS', 'bytes is Infinity'],
    [2 ** 53, 'KVSEAM_OUT_OF_BOUNDS', 'bytes is 9007199254740992'],
    [Number.MAX_SAFE_INTEGER, 'KVSEAM_NO_MEMORY', '9007199254740991 bytes'],
    ['64', 'KVSEAM_INVALID_ARGUMENT', 'bytes is "64"'],
    [64n, 'KVSEAM_INVALID_ARGUMENT', 'bytes is 64n'],
    [undefined, 'KVSEAM_INVALID_ARGUMENT', 'bytes is undefined'],
  ] as const)('allocate(%s) is %s', async (bytes, code, text) => {
    const { prefill } = await openPair()
    const before = prefill.counters
    await expectRefusal(() => prefill.allocate(bytes as number), { code, says: [text] })
    expect(prefill.counters.regions).toBe(before.regions)
  })

  it.each([
    ['', 'name is ""'],
    ['a b', 'name is "a b"'],
    ['a/b', 'name is "a/b"'],
    ['x'.repeat(64), 'name is "xxx'],
    ['ä', 'name is "ä"'],
    [5, 'name is 5'],
    ['kv', "already has a region 'kv'"],
  ])('the name %j is refused', async (name, text) => {
    const { prefill } = await openPair()
    await expectRefusal(() => prefill.allocate(64, { name: name as string }), {
      code: 'KVSEAM_INVALID_ARGUMENT',
      says: [text],
    })
    expect(prefill.counters.regions).toBe(1)
  })

  it.each([
    [-1, 1, 'at is -1'],
    [0.5, 1, 'at is 0.5'],
    [Number.NaN, 1, 'at is NaN'],
    [2 ** 53, 1, 'at is 9007199254740992'],
    [4097, 0, 'at is 4097'],
    [0, 4097, 'bytes is 4097'],
    [4096, 1, 'bytes is 1'],
    [1, Number.NaN, 'bytes is NaN'],
  ])('read(%d, %d) is refused', async (at, bytes, text) => {
    const { kv } = await openPair({ bytes: 4096 })
    await expectRefusal(() => kv.read(at, bytes), { code: 'KVSEAM_OUT_OF_BOUNDS', says: [text] })
  })

  it.each([
    [4096, 1, 'offset 4096 with 1 bytes ends outside'],
    [4095, 2, 'offset 4095 with 2 bytes ends outside'],
    [Number.MAX_SAFE_INTEGER, 1, 'ends outside'],
    [-1, 1, 'at is -1'],
    [Number.NaN, 1, 'at is NaN'],
  ])('write at %d of %d bytes is refused and changes nothing', async (at, bytes, text) => {
    const { kv } = await openPair({ bytes: 4096 })
    const before = kv.read()
    await expectRefusal(() => kv.write(new Uint8Array(bytes).fill(255), at), {
      code: 'KVSEAM_OUT_OF_BOUNDS',
      says: [text],
    })
    expect(kv.read()).toEqual(before)
  })

  it('refuses sources whose memory can change under the copy', async () => {
    const { kv } = await openPair()
    const resizable = new Uint8Array(Reflect.construct(ArrayBuffer, [8, { maxByteLength: 16 }]) as ArrayBuffer)
    await expectRefusal(() => kv.write(resizable), { code: 'KVSEAM_INVALID_ARGUMENT', says: ['data is', 'resizable'] })
    const away = new Uint8Array(8)
    structuredClone(away.buffer, { transfer: [away.buffer] })
    // Node 20 has no `detached`; the array is then simply empty and nothing is copied.
    if ('detached' in ArrayBuffer.prototype) {
      await expectRefusal(() => kv.write(away), { code: 'KVSEAM_INVALID_ARGUMENT', says: ['transferred away'] })
    }
    for (const data of ['text', [1, 2], 5, null, undefined, new ArrayBuffer(4)]) {
      await expectRefusal(() => kv.write(data as never), { code: 'KVSEAM_INVALID_ARGUMENT', says: ['data is'] })
    }
  })

  it.each([Number.NaN, -1, Number.POSITIVE_INFINITY, '5'])('close({ drainMs: %s }) is refused', async (drainMs) => {
    const { kv, prefill, seam } = await openPair()
    for (const each of [kv, prefill, seam]) {
      const error = await expectRefusal(async () => await each.close({ drainMs: drainMs as number }), {
        code: typeof drainMs === 'string' ? 'KVSEAM_INVALID_ARGUMENT' : 'KVSEAM_OUT_OF_BOUNDS',
        says: ['drainMs is'],
      })
      expect(error.facts['field']).toBe('drainMs')
    }
    expect(kv.closed || prefill.closed).toBe(false)
  })
})
