// Row 12: two transfers into the same bytes, which would both succeed and leave one request with the other's KV.

import fc from 'fast-check'
import { describe, expect, vi } from 'vitest'
import { openSeam } from '../../src/index.js'
import { backendOptions } from '../backend.js'
import type { Entry } from './oracles/ledger.js'
import { row } from './row.js'
import { BLOCK, rail, Subject } from './subject.js'

/** Blocks that the model knows; few, so that lists meet. */
const FEW = 12

describe('a destination', () => {
  row(12, 'that a transfer may still write is refused to the next, with what to do, and its bytes stay', async () => {
    const subject = await Subject.open()
    const { seam, decode } = subject
    subject.shadow.fill(1, [0, 1, 2])
    const armed = seam.faults.arm('rail0.read=pause')
    const first = subject.handOff({ rail: 0, from: [0, 1], to: [4, 5] })
    await armed.whenPaused()
    const { permits } = seam.policy.counters
    for (const n of [0, 1]) {
      await expect(subject.handOff({ rail: n, from: [2, 2], to: [7, 5] })).rejects.toMatchObject({
        code: 'KVSEAM_REGION_BUSY',
        retryable: true,
        blame: 'local',
        message: expect.stringMatching(/offset 20480 of region 'kv' .* has not quiesced; wait for its `quiesced`/),
      })
    }
    // Nothing was posted, nobody's path was hurt, and neither a permit nor a session is gone.
    expect(decode.counters).toMatchObject({ inFlight: 1, writeClaims: 1, overlapsRefused: 2 })
    expect(seam.policy.counters.permits).toMatchObject({ redeemed: permits.redeemed, outstanding: permits.outstanding })
    expect(seam.paths.get(rail(1))!.health).toMatchObject({ activeSessions: 0, dropFraction: 0 })
    // The same source, and blocks beside those: that is no overlap.
    await subject.handOff({ rail: 1, from: [0, 1], to: [3, 6] })
    armed.disarm()
    expect((await first).verified).toBe(true)
    await (await first).quiesced
    await subject.handOff({ rail: 0, from: [2, 1], to: [7, 5] })
    expect(decode.counters).toMatchObject({ writeClaims: 0, overlapsRefused: 2 })
    await subject.check()
  })

  row(12, 'of a transfer that timed out stays refused until nothing can write it any more', async () => {
    const subject = await Subject.open()
    using armed = subject.seam.faults.arm('rail0.read=1*pause;*.cancel=drop')
    const late = subject.post({ from: [0], to: [3], timeoutMs: 30 })
    await subject.ledger.allSettled()
    expect(late.error).toMatchObject({ code: 'KVSEAM_TIMEOUT' })
    await expect(subject.handOff({ rail: 1, to: [3] })).rejects.toMatchObject({ code: 'KVSEAM_REGION_BUSY' })
    armed.resume(1)
    await late.transfer.quiesced
    await subject.handOff({ rail: 1, to: [3] })
    await subject.check()
  })

  row(12, 'that is named twice by one list is refused for good, alone too', async () => {
    const subject = await Subject.open()
    for (let i = 0; i < 2; i++) {
      await expect(subject.handOff({ from: [0, 1, 2], to: [8, 9, 8] })).rejects.toMatchObject({
        code: 'KVSEAM_INVALID_DESCRIPTOR',
        retryable: false,
        message: expect.stringMatching(/offset 32768 of region 'kv' is named twice/),
      })
    }
    await subject.handOff({ from: [5, 5], to: [8, 9] }) // a source may be
    expect(subject.decode.counters).toMatchObject({ posted: 1, writeClaims: 0 })
    await subject.check()
  })

  row(12, 'is refused exactly while a model of leases says so, whatever faults do to the transfers', async () => {
    const step = fc.record({
      rail: fc.integer({ min: 0, max: 1 }),
      to: fc.uniqueArray(fc.integer({ min: 0, max: FEW - 1 }), { minLength: 1, maxLength: 4 }),
      end: fc.constantFrom('nothing', 'cancel', 'wait', 'settle'),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), fc.nat(1000), async (plan, seed) => {
        const subject = await Subject.open()
        const { decode } = subject
        subject.seam.faults.arm(
          `seed=${seed};*.read=20%lose->20%late(8ms)->20%dup->20%delay(4ms);*.cancel=50%delay(3ms)`,
        )
        const leased = new Map<number, Entry>()
        const isFree = (block: number): boolean => leased.get(block)?.transfer.isQuiesced ?? true
        for (const { rail: n, to, end } of plan) {
          const free = to.every(isFree)
          const { overlapsRefused } = decode.counters
          let entry: Entry | undefined
          try {
            entry = subject.post({ rail: n, from: to, to, timeoutMs: 6 })
          } catch (error) {
            expect(error).toMatchObject({ code: 'KVSEAM_REGION_BUSY' })
          }
          expect(entry !== undefined, `blocks ${to}`).toBe(free)
          expect(decode.counters.overlapsRefused - overlapsRefused).toBe(free ? 0 : 1)
          if (entry === undefined) continue
          for (const block of to) leased.set(block, entry)
          if (end === 'cancel') entry.transfer.cancel()
          else if (end === 'settle') await entry.transfer.settled.catch(() => {})
          else if (end === 'wait') await new Promise((resolve) => setTimeout(resolve, 5))
        }
        await subject.ledger.allQuiesced()
        expect(decode.counters).toMatchObject({ inFlight: 0, writeClaims: 0 })
        await subject.seam.close()
      }),
      { numRuns: 30 },
    )
  })
})

describe('a push', () => {
  row(12, 'into bytes of a peer that another push may still write is refused', async () => {
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const near = await openSeam({ ...backendOptions, profile: 'reference' })
    const far = await openSeam(backendOptions)
    try {
      const agent = await near.agent('prefill-9')
      const other = await far.agent('decode-9')
      const kv = agent.allocate(4 * BLOCK, { name: 'kv' })
      other.allocate(4 * BLOCK, { name: 'kv' })
      const peer = await near.connect(agent, other.metadata())
      const push = async (block: number) =>
        await near.handoff({
          from: kv.blocks(BLOCK, [0]),
          to: peer.region('kv').blocks(BLOCK, [block]),
          workload: 'batch',
        })
      const armed = near.faults.arm('*.write=pause')
      const first = push(1)
      await armed.whenPaused()
      await expect(push(1)).rejects.toMatchObject({ code: 'KVSEAM_REGION_BUSY', blame: 'local' })
      armed.disarm()
      await (await first).quiesced
      await push(1)
      expect(agent.counters).toMatchObject({ posted: 2, writeClaims: 0, overlapsRefused: 1 })
    } finally {
      await near.close()
      await far.close()
    }
  })
})
