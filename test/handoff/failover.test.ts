// Chunks, failover with its fence, and waiting in line: what a handoff does when one path is not enough.

import { readFileSync } from 'node:fs'
import { describe, expect, it, vi } from 'vitest'
import type { SeamError } from '../../src/errors.js'
import type { HandoffRequest } from '../../src/handoff/handoff.js'
import { itOnMock } from '../backend.js'
import { openPair, PREFILL } from '../native/pair.js'
import { refusalOf } from '../native/refusal.js'

const BLOCK = 4096
const BLOCKS = 64

async function openChunked(options: Parameters<typeof openPair>[0] = {}) {
  vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
  const rails = [{ name: 'rail0' }, { name: 'rail1' }]
  const pair = await openPair({
    profile: 'default',
    probes: 'off',
    bytes: BLOCK * BLOCKS,
    chunkBytes: 8 * BLOCK,
    agents: { rails },
    ...options,
  })
  const ids = Array.from({ length: BLOCKS }, (_, i) => i)
  const request: HandoffRequest = {
    from: pair.kv.blocks(BLOCK, ids),
    to: pair.slots.blocks(BLOCK, [...ids].reverse()),
    workload: 'batch',
  }
  const same = () =>
    ids.every(
      (id) => Buffer.compare(pair.kv.read(id * BLOCK, BLOCK), pair.slots.read((BLOCKS - 1 - id) * BLOCK, BLOCK)) === 0,
    )
  return { ...pair, request, same }
}

describe('a large handoff', () => {
  it('moves in chunks under one decision, each with a permit of its own, and verifies the whole', async () => {
    const { seam, decode, request, same } = await openChunked()
    const done = await seam.handoff(request)
    expect(done).toMatchObject({ bytes: BLOCK * BLOCKS, verified: true, failedOver: [] })
    expect(decode.counters.posted).toBe(8)
    const { admitted, permits } = seam.policy.counters
    expect(admitted).toBe(1)
    expect(permits).toMatchObject({ redeemed: 8, revoked: 1, outstanding: 0 }) // the decision's own was not needed
    expect(done.outcome.bytes).toBe(BLOCK * BLOCKS)
    expect(same()).toBe(true)
    await done.quiesced
    expect([...seam.paths].every((path) => path.health.activeSessions === 0)).toBe(true)
  })

  it('cuts every kind of list into parts that are the whole, and no descriptor in two', async () => {
    const { kv, request } = await openChunked()
    const runs = kv.runs([0, 4096, 12_288, 20_480], [4096, 8192, 100, 5000])
    for (const list of [request.from, runs, kv.range(0, BLOCK * BLOCKS)]) {
      for (const partBytes of [1, 5000, 8192, 100_000, 1 << 30]) {
        const parts = list.cut(partBytes)
        expect(parts.reduce((sum, part) => sum + part.bytes, 0)).toBe(list.bytes)
        expect(parts.reduce((sum, part) => sum + part.count, 0)).toBe(list.count)
        let next = 0
        for (const part of parts) {
          expect(part.first).toBe(next)
          expect(part.bytes <= partBytes || part.count === 1).toBe(true)
          next += part.count
        }
      }
    }
  })
})

describe('a path that breaks on the way', () => {
  it('loses what is left to another one, and nothing that has arrived is moved again', async () => {
    const { seam, decode, request, same } = await openChunked({ profile: 'reference' }) // of equals it takes the first
    using _ = seam.faults.arm('rail0.read=error(timeout)@ops(4..)')
    const done = await seam.handoff(request)
    expect(done.verified).toBe(true)
    expect(same()).toBe(true)
    expect(done.failedOver).toEqual(['prefill-0/rail0>decode-0/rail0'])
    expect(done.path.id).toBe('prefill-0/rail1>decode-0/rail1')
    expect(decode.counters.posted).toBeLessThanOrEqual(8 + 4) // four at most were in flight when it broke
    expect(decode.counters.posted).toBeGreaterThan(8)
    expect(seam.policy.counters.admitted).toBe(2)
    const other = await seam.handoff(request)
    expect(other.verified).toBe(true)
  })

  it('is not followed by another while its transfer may still write', async () => {
    const { seam, request } = await openChunked({
      chunkBytes: 1 << 30,
      agents: { rails: [{ name: 'rail0' }, { name: 'rail1' }], quiesceGraceMs: 50 },
    })
    // Settled as failed at the deadline, but never quiet: the bytes could still land in these blocks.
    using faults = seam.faults.arm('*.read=late(10s)')
    const error = await refusalOf(async () => await seam.handoff({ ...request, deadlineMs: 400 }))
    expect(error.code).toBe('KVSEAM_TIMEOUT')
    expect(faults.report().rules[0]!.fired).toBe(1)
    expect(seam.policy.counters.admitted).toBe(1)
  })

  it('is tried no further than asked, and the first error is what the caller gets', async () => {
    const { seam, request } = await openChunked()
    using _ = seam.faults.arm('*.read=error(timeout)')
    const error = await refusalOf(async () => await seam.handoff({ ...request, failovers: 0 }))
    expect(error).toMatchObject({ code: 'KVSEAM_TIMEOUT', blame: 'path' })
    expect(seam.policy.counters.admitted).toBe(1)
    await expect(seam.handoff({ ...request, failovers: 9 })).rejects.toMatchObject({ code: 'KVSEAM_OUT_OF_BOUNDS' })
  })

  it('leaves outcomes in the log, one for each decision, with what arrived', async () => {
    const folder = process.env['TMPDIR'] ?? '/tmp'
    const file = `${folder}/kvseam-failover-${process.pid}-${Date.now()}.jsonl`
    const { seam, request } = await openChunked({ profile: 'reference', recordLog: file })
    using _ = seam.faults.arm('rail0.read=error(timeout)@ops(4..)')
    const done = await seam.handoff(request)
    await seam.close()
    const outcomes = readFileSync(file, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
      .filter(({ schema }) => schema === 'kvseam.outcome/1')
    expect(outcomes.map(({ attempt, code }) => [attempt, code])).toEqual([
      [0, 'KVSEAM_TIMEOUT'],
      [1, 'KVSEAM_OK'],
    ])
    expect(outcomes.at(-1)).toMatchObject({ code: 'KVSEAM_OK', path: done.path.id, verified: true })
    expect(outcomes.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(BLOCK * BLOCKS)
  })
})

describe('waiting in line', () => {
  // A rail that takes half a second for one transfer: a second request has to wait for it.
  async function openSlow() {
    const rails = [{ name: 'rail0', bytesPerSecond: BLOCK * BLOCKS * 2, latencyUs: 10 }]
    return await openChunked({ chunkBytes: 1 << 30, agents: { rails } })
  }

  it('is answered when the path is free, and both requests arrive', async () => {
    const { seam, request } = await openSlow()
    const [first, second] = await Promise.all([seam.handoff(request), seam.handoff(request)])
    expect(first.verified && second.verified).toBe(true)
    expect(seam.policy.counters).toMatchObject({ queued: 1, waiting: 0, admitted: 2 })
  })

  itOnMock('ends when the caller goes, with its reason, and takes no capacity', async () => {
    const { seam, request } = await openSlow()
    const first = seam.handoff(request)
    // Their digests are made side by side, so the second could be admitted first.
    await vi.waitFor(() => expect(seam.policy.counters.admitted).toBe(1), { interval: 5 })
    const abort = new AbortController()
    const second = seam.handoff({ ...request, signal: abort.signal })
    await vi.waitFor(() => expect(seam.policy.counters.waiting).toBe(1))
    const reason = new Error('the user left')
    abort.abort(reason)
    await expect(second).rejects.toBe(reason)
    expect((await first).verified).toBe(true)
    expect(seam.policy.counters).toMatchObject({ waiting: 0, admitted: 1 })
  })

  itOnMock('is refused at once when it can not be in time, or nobody may wait', async () => {
    const { seam, request } = await openSlow()
    const first = seam.handoff(request)
    await vi.waitFor(() => expect(seam.policy.counters.admitted).toBe(1))
    await expect(seam.handoff({ ...request, deadlineMs: 20 })).rejects.toMatchObject({ code: 'KVSEAM_NOT_ADMISSIBLE' })
    const decision = seam.policy.decide({ workload: 'batch', bytes: request.from.bytes, from: PREFILL, queue: true })
    expect(decision.outcome).toBe('queued')
    if (decision.outcome !== 'queued') return
    decision.withdraw()
    decision.withdraw()
    expect((await decision.answer).outcome).toBe('rejected')
    expect((await first).verified).toBe(true)
  })

  itOnMock('ends with an error when the seam is closed', async () => {
    const { seam, request } = await openSlow()
    const first = seam.handoff(request).catch((error: unknown) => error)
    const second = seam.handoff(request).catch((error: unknown) => error)
    await vi.waitFor(() => expect(seam.policy.counters.waiting).toBe(1))
    await seam.close()
    // Either may have been the one in line: both wait for their source's digest first.
    const codes = [await first, await second].map((error) => (error as SeamError).code)
    expect(codes).toContain('KVSEAM_CLOSED')
    for (const code of codes) expect(code).toMatch(/^KVSEAM_(CLOSED|CANCELLED)$/)
  })
})
