// The driver alone, over posters that answer as a test wants; no native code.

import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { drive, type Load, LoadResult } from '../../src/bench/load.js'
import type { Poster, Slot } from '../../src/bench/poster.js'
import { SeamError } from '../../src/errors.js'

const OUTCOME = { bytes: 1000, postNs: 1_000, wireNs: 5_000, totalNs: 6_000, selfDelayed: false }

function slots(count: number): Slot[] {
  return Array.from({ length: count }, () => ({}) as Slot)
}

async function run(given: Partial<Load> & { readonly poster: Poster }): Promise<LoadResult> {
  const result = new LoadResult()
  await drive({
    slots: slots(4),
    window: 4,
    durationMs: 60,
    ratePerSecond: 0,
    signal: new AbortController().signal,
    result,
    arrivedIn: new Map(),
    ...given,
  })
  return result
}

describe('a closed loop', () => {
  test('keeps no more than the window in flight and never uses a slot twice at once', async () => {
    const busy = new Set<Slot>()
    let most = 0
    const poster: Poster = {
      async post(slot, idle) {
        expect(busy.has(slot)).toBe(false)
        busy.add(slot)
        most = Math.max(most, busy.size)
        await sleep(1)
        busy.delete(slot)
        idle()
        return OUTCOME
      },
    }
    const result = await run({ poster, slots: slots(10), window: 3 })
    expect(most).toBe(3)
    expect(result.bytes).toBe(result.transfer.samples * OUTCOME.bytes)
    expect(result.transfer.samples).toBeGreaterThan(3)
    expect(result.bytesPerSecond).toHaveLength(1)
  })

  test('waits for a slot whose transfer failed and is not quiet, and ends all the same', async () => {
    const held: (() => void)[] = []
    const poster: Poster = {
      async post(_slot, idle) {
        held.push(idle)
        throw new SeamError('KVSEAM_TIMEOUT', {}, 'late')
      },
    }
    const started = performance.now()
    const result = await run({ poster, slots: slots(2), window: 2 })
    expect(result.failed).toEqual(new Map([['KVSEAM_TIMEOUT', 2]]))
    expect(result.transfer.samples).toBe(0)
    expect(performance.now() - started).toBeLessThan(5_000)
  })

  test('counts refusals apart from failures', async () => {
    const poster: Poster = {
      async post(_slot, idle) {
        idle()
        return 'refused'
      },
    }
    const result = await run({ poster })
    expect(result.refused).toBeGreaterThan(0)
    expect(result.failed.size).toBe(0)
  })

  test('passes on an error that is none of a transfer', async () => {
    const poster: Poster = {
      async post(_slot, idle) {
        idle()
        throw new TypeError('a fault of the bench')
      },
    }
    await expect(run({ poster })).rejects.toThrow('a fault of the bench')
  })

  test('counts wrong bytes, and forgets a slot whose last transfer failed', async () => {
    let calls = 0
    const poster: Poster = {
      async post(_slot, idle) {
        await sleep(1)
        idle()
        if (++calls % 2 === 0) throw new SeamError('KVSEAM_TRANSFER_FAILED', {}, 'half of it')
        return OUTCOME
      },
    }
    const arrivedIn = new Map<Slot, LoadResult>()
    const [slot] = slots(1)
    const result = await run({ poster, arrivedIn, slots: [slot!], window: 1, check: async () => false })
    expect(result.mismatched).toBe(result.checked)
    expect(result.checked).toBe(result.transfer.samples)
    expect(arrivedIn.has(slot!)).toBe(calls % 2 === 1)
  })
})

describe('a load on schedule', () => {
  test('counts latency from when a transfer was due: one stall shows in all that had to wait for it', async () => {
    let calls = 0
    const poster: Poster = {
      async post(_slot, idle) {
        await sleep(++calls === 5 ? 150 : 0)
        idle()
        return OUTCOME
      },
    }
    const result = await run({ poster, slots: slots(1), window: 1, durationMs: 300, ratePerSecond: 200 })
    // 60 were due, and about 30 of them during the stall: a loop that waits before it counts would see one of them.
    expect(result.total.samples).toBe(60)
    expect(result.total.percentileNs(0.75)).toBeGreaterThan(30e6)
    expect(result.transfer.percentileNs(0.99)).toBeLessThan(10_000) // the transport itself was never slow
  })

  test('posts at the rate and not above it', async () => {
    const at: number[] = []
    const poster: Poster = {
      async post(_slot, idle) {
        at.push(performance.now())
        idle()
        return OUTCOME
      },
    }
    const result = await run({ poster, durationMs: 200, ratePerSecond: 100 })
    expect(result.transfer.samples).toBe(20)
    expect(at.at(-1)! - at[0]!).toBeGreaterThan(170)
  })

  test('ends when it is interrupted', async () => {
    const poster: Poster = {
      async post(_slot, idle) {
        idle()
        return OUTCOME
      },
    }
    const started = performance.now()
    await run({ poster, durationMs: 60_000, ratePerSecond: 100, signal: AbortSignal.timeout(50) })
    expect(performance.now() - started).toBeLessThan(10_000)
  })
})
