// Rows 4, 19 to 21 and 28: bytes that are stale, partial, short, corrupt, or changed under the transfer. Fail closed: none of them may be taken for good.

import { describe, expect, vi } from 'vitest'
import { SeamError } from '../../src/errors.js'
import { row } from './row.js'
import { BLOCK, rail, Subject } from './subject.js'

const ids = [2, 3, 4, 5]

/** Of the ucx backend, rail1 copies mapped memory: it hears of a withdrawal a moment later, and reads what is still there. */
const ownerLooks = { exclude: [rail(1)] }

describe('content', () => {
  row(4, 'a key of withdrawn memory is refused with STALE_REGION and no byte moves', async () => {
    const subject = await Subject.open()
    {
      using _ = subject.seam.faults.arm('rail0.read=1*stale')
      expect(await subject.handOff({ rail: 0 }).catch((error: SeamError) => error.code)).toBe('KVSEAM_STALE_REGION')
    }
    const to = subject.target.blocks(BLOCK, ids)
    const from = subject.source.blocks(BLOCK, ids)
    await subject.seam.handoff({ from, to, workload: 'batch' })
    subject.shadow.restoreCanaries(ids)
    await subject.source.close()
    await expect(
      subject.seam.handoff({ from, to, workload: 'batch', verify: 'off', ...ownerLooks }),
    ).rejects.toMatchObject({ code: 'KVSEAM_STALE_REGION' })
    subject.shadow.checkCanaries([])
    expect(subject.seam.paths.get(rail(0))!.health.dropFraction).toBe(0) // the owner's doing, not the path's
  })

  row(4, 'memory that is allocated anew under an old name is not reached by old descriptors', async () => {
    const subject = await Subject.open()
    const old = subject.source.blocks(BLOCK, [0])
    old.listFor(subject.decode) // prepared on both sides while it was good
    await subject.source.close()
    const fresh = subject.prefill.allocate(BLOCK, { name: 'kv' })
    fresh.view().fill(1)
    await expect(
      subject.seam.handoff({
        from: old,
        to: subject.target.blocks(BLOCK, [0]),
        workload: 'batch',
        verify: 'off',
        ...ownerLooks,
      }),
    ).rejects.toMatchObject({ code: 'KVSEAM_STALE_REGION' })
    subject.shadow.checkCanaries([])
    await subject.seam.handoff({ from: fresh.blocks(BLOCK), to: subject.target.blocks(BLOCK, [0]), workload: 'batch' })
  })

  row(19, 'a partial write fails, says how much moved, and the destination does not pass for good', async () => {
    const subject = await Subject.open()
    subject.shadow.fill(1, ids)
    using _ = subject.seam.faults.arm('rail0.read=partial(37%)')
    const error = await subject.handOff({ rail: 0, from: ids }).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({
      code: 'KVSEAM_TRANSFER_FAILED',
      blame: 'path',
      facts: { bytes: Math.floor(4 * BLOCK * 0.37) },
    })
    expect(subject.shadow.wrongBytes(1, ids)).toBeGreaterThan(0)
    expect(await subject.target.blocks(BLOCK, ids).digest()).not.toBe(await subject.source.blocks(BLOCK, ids).digest())
    subject.shadow.checkCanaries(ids)
  })

  row(20, 'a short write that reports success is an INTEGRITY error', async () => {
    const subject = await Subject.open()
    subject.shadow.fill(1, ids)
    using _ = subject.seam.faults.arm('rail0.read=short(4KiB)')
    await expect(subject.handOff({ rail: 0, from: ids })).rejects.toMatchObject({
      code: 'KVSEAM_INTEGRITY',
      blame: 'path',
    })
    expect(subject.shadow.wrongBytes(1, ids)).toBeGreaterThan(0)
  })

  row(21, 'every injected corruption is caught, nothing else is, and the path pays for it', async () => {
    const subject = await Subject.open()
    using armed = subject.seam.faults.arm('seed=4;rail0.read=30%corrupt(1bit)')
    let caught = 0
    for (let i = 0; i < 60; i++) {
      subject.shadow.fill(i, ids)
      const entry = subject.post({ rail: 0, from: ids, to: ids })
      await entry.transfer.settled // the transport says nothing
      const [sent, found] = await Promise.all([
        subject.source.blocks(BLOCK, ids).digest(),
        subject.target.blocks(BLOCK, ids).digest(),
      ])
      const wrong = subject.shadow.wrongBytes(i, ids)
      expect(wrong).toBeLessThanOrEqual(1)
      expect(sent === found).toBe(wrong === 0)
      if (wrong > 0) caught++
    }
    expect(caught).toBe(armed.firings.length)
    expect(caught).toBeGreaterThan(5)
    subject.shadow.checkCanaries(ids)
    await subject.check()
  })

  row(21, 'a path that corrupts is worse for it, and its neighbour is not', async () => {
    const subject = await Subject.open()
    const dropped = (n: number): number => subject.seam.paths.get(rail(n))!.health.dropFraction
    using _ = subject.seam.faults.arm('rail0.read=corrupt(1bit)')
    for (const n of [0, 1]) {
      await subject.handOff({ rail: n, from: ids }).catch((error: unknown) => {
        if (!SeamError.is(error, 'KVSEAM_INTEGRITY')) throw error
      })
    }
    expect(dropped(0)).toBe(1)
    expect(dropped(1)).toBe(0)
    expect(subject.seam.paths.get(rail(0))!.health.gfs).toBeGreaterThan(0.2)
  })

  row(28, 'changed while it moves is no success: the digest of what arrived is taken when it is quiet', async () => {
    const subject = await Subject.open()
    using armed = subject.seam.faults.arm('*.read=delay(50ms)')
    // Written by another thread or by this one: bytes go in by copy, so that only a region itself can change under a transfer.
    const shared = new Uint8Array(new SharedArrayBuffer(BLOCK)).fill(7)
    subject.source.write(shared)
    shared.fill(9)
    expect(subject.source.read(0, BLOCK).every((byte) => byte === 7)).toBe(true)
    const moving = subject.handOff({ rail: 0 })
    await vi.waitFor(() => expect(armed.firings).toHaveLength(1), { interval: 1 })
    subject.source.view()[BLOCK - 1] = 8
    await expect(moving).rejects.toMatchObject({ code: 'KVSEAM_INTEGRITY' })
    const again = await subject.handOff({ rail: 1 })
    expect(again.verified).toBe(true)
    expect(subject.target.read(BLOCK - 1, 1)[0]).toBe(8)
    await subject.check()
  })
})
