// The whole act: admit, move, verify, release; and what happens to lease, permit and path when a step fails.

import { describe, expect, it } from 'vitest'
import { SeamError } from '../../src/errors.js'
import type { HandoffRequest } from '../../src/handoff/handoff.js'
import type { DecisionRecord } from '../../src/record/decision-record.js'
import { admit, DECODE, eventually, openFor, openPair, PREFILL } from '../native/pair.js'
import { expectRefusal, refusalOf } from '../native/refusal.js'

async function openReady() {
  const pair = await openPair({ bytes: 1 << 16, sessionsPerPath: 4 })
  const request: HandoffRequest = {
    from: pair.kv.blocks(1024, [1, 2, 3]),
    to: pair.slots.blocks(1024, [7, 5, 6]),
    workload: 'batch',
  }
  const active = () => [...pair.seam.paths].reduce((sum, path) => sum + path.health.activeSessions, 0)
  return { ...pair, request, active }
}

describe('handoff()', () => {
  it('moves, verifies, observes, and gives the session back when the memory is quiet', async () => {
    const { seam, kv, slots, request, active } = await openReady()
    const done = await seam.handoff({ ...request, requestId: 'r-1', deadlineMs: 20_000 })
    expect(done).toMatchObject({ bytes: 3072, verified: true })
    expect(done.digest).toBe(await request.from.digest())
    expect(done.decision).toMatchObject({ req: { id: 'r-1', bytes: 3072 }, chosen: done.path.id })
    expect(slots.read(5 * 1024, 1024)).toEqual(kv.read(2 * 1024, 1024))
    await done.quiesced
    expect(active()).toBe(0)
    expect(done.path.health.samples + Number(done.outcome.selfDelayed)).toBe(1)
    expect(seam.policy.counters).toMatchObject({ admitted: 1, permits: { redeemed: 1, outstanding: 0 } })
  })

  it('throws the decision record when no path will do', async () => {
    const { seam, request } = await openReady()
    for (let i = 0; i < 8; i++) admit(seam, { bytes: 1, to: [DECODE] })
    const error = await refusalOf(async () => await seam.handoff(request))
    expect(error).toMatchObject({ code: 'KVSEAM_NOT_ADMISSIBLE', blame: 'pool', retryable: true })
    const record = error.decision as DecisionRecord
    expect(record).toMatchObject({ schema: 'kvseam.decision/1', chosen: null })
    for (const candidate of record.candidates) {
      expect(error.message).toContain(candidate.path)
      expect(error.message).toContain(candidate.reason)
    }
  })

  it('finds a flipped bit and charges the path for it', async () => {
    const { seam, request, active } = await openReady()
    using faults = seam.faults.arm('*.read=corrupt(1bit)')
    const error = await refusalOf(async () => await seam.handoff(request))
    expect(error).toMatchObject({ code: 'KVSEAM_INTEGRITY', blame: 'path', retryable: false })
    expect(error.message).toContain('do not decode')
    expect(faults.report().rules[0]!.fired).toBe(1)
    const [path] = [...seam.paths].filter((each) => each.health.samples === 1)
    expect(path!.health.dropFraction).toBe(1)
    await eventually('session given back', () => active() === 0)
  })

  it('finds bytes that are missing although the backend reports success', async () => {
    const { seam, request } = await openReady()
    using faults = seam.faults.arm('*.read=short(50%)')
    expect((await refusalOf(async () => await seam.handoff(request))).code).toBe('KVSEAM_INTEGRITY')
    void faults
  })

  it('holds the session of a transfer that timed out until its memory is quiet', async () => {
    const { seam, request, active } = await openReady()
    const faults = seam.faults.arm('*.read=pause;*.cancel=drop')
    const error = await refusalOf(async () => await seam.handoff({ ...request, deadlineMs: 30 }))
    expect(error.code).toBe('KVSEAM_TIMEOUT')
    expect(active()).toBe(1)
    // Unless this process was stalled itself meanwhile: then it says nothing about the path.
    const charged = error.facts['selfDelayed'] === true ? 0 : 1
    expect([...seam.paths].filter((path) => path.health.dropFraction === 1)).toHaveLength(charged)
    faults.resume()
    await eventually('session given back', () => active() === 0)
  })

  it('compares with a digest that comes from elsewhere, or not at all', async () => {
    const { seam, request } = await openReady()
    const sourceDigest = await request.from.digest()
    expect((await seam.handoff({ ...request, sourceDigest })).verified).toBe(true)
    expect((await seam.handoff({ ...request, verify: 'off' })).verified).toBe(false)
    const error = await refusalOf(
      async () => await seam.handoff({ ...request, sourceDigest: (sourceDigest ^ 1) >>> 0 }),
    )
    expect(error.code).toBe('KVSEAM_INTEGRITY')
    expect(error.facts).toMatchObject({ found: sourceDigest })
  })

  it('says who has to verify when a side is elsewhere', async () => {
    const { seam, prefill, kv } = await openReady()
    const far = await openFor()
    const other = await far.agent('decode-5')
    const pool = other.allocate(4096, { name: 'pool' })
    const peer = await seam.connect(prefill, other.metadata())
    const from = kv.range(0, 64)
    const to = peer.region('pool').range(0, 64)
    expect((await seam.handoff({ from, to, workload: 'batch' })).verified).toBe(false)
    expect(pool.read(0, 64)).toEqual(kv.read(0, 64))
    await expectRefusal(async () => await seam.handoff({ from, to, workload: 'batch', verify: 'always' }), {
      code: 'KVSEAM_INVALID_ARGUMENT',
      says: ['verify is "always"', 'its owner has to verify'],
    })
    await expectRefusal(async () => await seam.handoff({ from: to, to: from, workload: 'batch', verify: 'always' }), {
      code: 'KVSEAM_INVALID_ARGUMENT',
      says: ['sourceDigest'],
    })
    expect(seam.policy.counters.permits.outstanding).toBe(0)
  })

  const bad: [string, Record<string, unknown>, string, string][] = [
    ['no source', { from: undefined }, 'KVSEAM_INVALID_ARGUMENT', 'from is undefined'],
    ['a region for a source', { from: {} }, 'KVSEAM_INVALID_ARGUMENT', 'from is Object'],
    ['no destination', { to: null }, 'KVSEAM_INVALID_ARGUMENT', 'to is null'],
    ['an unknown workload', { workload: 'bacth' }, 'KVSEAM_UNKNOWN_WORKLOAD', 'did you mean batch?'],
    ['a deadline of 0', { deadlineMs: 0 }, 'KVSEAM_OUT_OF_BOUNDS', 'deadlineMs is 0'],
    ['a deadline of text', { deadlineMs: '5' }, 'KVSEAM_INVALID_ARGUMENT', 'deadlineMs is "5"'],
    ['a signal that is none', { signal: {} }, 'KVSEAM_INVALID_ARGUMENT', 'signal is Object'],
    ['an unknown way to verify', { verify: 'maybe' }, 'KVSEAM_INVALID_ARGUMENT', 'verify is "maybe"'],
    ['a digest that is none', { sourceDigest: -1 }, 'KVSEAM_OUT_OF_BOUNDS', 'sourceDigest is -1'],
    ['a notification of text', { notify: 'hello' }, 'KVSEAM_INVALID_ARGUMENT', 'notify'],
  ]
  it.each(bad)('with %s is refused; no permit, no session and no byte is gone', async (_, change, code, text) => {
    const { seam, decode, slots, request, active } = await openReady()
    await expectRefusal(async () => await seam.handoff({ ...request, ...change } as HandoffRequest), {
      code: code as never,
      says: [text],
    })
    expect(active()).toBe(0)
    expect(decode.counters.posted).toBe(0)
    expect(seam.policy.counters.permits).toMatchObject({ redeemed: 0, outstanding: 0 })
    expect(slots.read().every((byte) => byte === 0)).toBe(true)
  })

  it('with sizes that do not match is refused with both', async () => {
    const { seam, kv, slots, request, active } = await openReady()
    for (const to of [slots.blocks(1024, [1, 2]), slots.blocks(512, [1, 2, 3])]) {
      const error = await refusalOf(async () => await seam.handoff({ ...request, to }))
      expect(error.code).toBe('KVSEAM_INVALID_DESCRIPTOR')
      expect(error.message).toMatch(/from has 3 descriptors of 3072 bytes and to has/)
    }
    // Equal in number and sum, and still not one by one.
    const error = await refusalOf(
      async () =>
        await seam.handoff({
          from: kv.runs([0, 100], [60, 40]),
          to: slots.runs([0, 100], [40, 60]),
          workload: 'batch',
        }),
    )
    expect(error.code).toBe('KVSEAM_INVALID_DESCRIPTOR')
    expect(error.message).toContain('descriptor 0 has 40 bytes here and 60')
    expect(active()).toBe(0)
    expect(seam.policy.counters.permits.outstanding).toBe(0)
  })
})

describe('transfer()', () => {
  it('gives the permit back when blocks and path do not belong together', async () => {
    const { seam, request, active } = await openReady()
    const far = await openFor()
    const stranger = await far.agent('stranger-0')
    const theirs = stranger.allocate(4096).range(0, 64)
    for (const sides of [
      { from: theirs, to: request.to },
      { from: request.from, to: theirs },
    ]) {
      const error = await refusalOf(async () => await seam.transfer(admit(seam, { bytes: 4096 }), sides))
      expect(error.code).toBe('KVSEAM_FOREIGN_REGION')
      expect(error.message).toMatch(/the admitted path prefill-0.* '(prefill-0|decode-0)'/)
    }
    expect(active()).toBe(0)
    expect(seam.policy.counters.permits).toMatchObject({ revoked: 2, outstanding: 0 })
  })

  it('of a region that was closed is refused, and the path is not hurt', async () => {
    const { seam, decode, kv, active } = await openReady()
    const doomed = decode.allocate(4096)
    const to = doomed.range(0, 64)
    await doomed.close()
    const error = await refusalOf(
      async () => await seam.handoff({ from: kv.range(0, 64), to, workload: 'batch', verify: 'off' }),
    )
    expect(SeamError.is(error, 'KVSEAM_STALE_REGION')).toBe(true)
    expect(active()).toBe(0)
    expect([...seam.paths].every((path) => path.health.samples === 0)).toBe(true)
  })

  it('is told apart by the sender', async () => {
    const { seam, request } = await openReady()
    expect((await seam.transfer(admit(seam, { bytes: 4096, from: PREFILL, to: [DECODE] }), request)).verified).toBe(
      true,
    )
  })
})
