// The orchestrator: decide, explain, observe, release, and the records of all of it.

import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Observation } from '../src/orchestrator.js'
import type { DecisionRecord } from '../src/record/decision-record.js'
import { admit, DECODE, openFor, PREFILL } from './native/pair.js'
import { expectRefusal } from './native/refusal.js'

/** A seam with its clock in the test's hand. */
async function openTimed({ decodes = 1, sessionsPerPath = 4 }: { decodes?: number; sessionsPerPath?: number } = {}) {
  const clock = { us: 1_000_000 }
  const seam = await openFor({ clockUs: () => clock.us, sessionsPerPath, deadlineMs: 1000 })
  await seam.agent(PREFILL)
  for (let i = 0; i < decodes; i++) await seam.agent(`decode-${i}`, { pool: 'decode' })
  return { seam, clock, policy: seam.policy }
}

const REQUEST = { workload: 'batch', bytes: 4096, from: PREFILL } as const

describe('decide()', () => {
  it('names path, permit and lease of an admission, and takes one session', async () => {
    const { seam, policy } = await openTimed()
    const decision = admit(seam, REQUEST)
    expect(decision.path.id).toBe('prefill-0/rail0>decode-0/rail0')
    expect(decision.permit).toMatchObject({ path: decision.path, maxBytes: 4096 })
    expect(decision.lease).toBeGreaterThan(0)
    expect(decision.path.health.activeSessions).toBe(1)
    expect(policy.counters).toMatchObject({ admitted: 1, rejected: 0, permits: { minted: 1, outstanding: 1 } })
  })

  it('says no as an answer, takes nothing, and keeps every reason', async () => {
    const { seam, policy } = await openTimed({ sessionsPerPath: 1 })
    admit(seam, REQUEST)
    admit(seam, REQUEST)
    const decision = policy.decide({ ...REQUEST, requestId: 'r-9' })
    expect(decision).toMatchObject({ outcome: 'rejected' })
    expect(Object.hasOwn(decision, 'permit') && decision.outcome === 'admitted').toBe(false)
    expect(decision.record).toMatchObject({
      outcome: 'no_admissible_pool',
      chosen: null,
      lease: null,
      req: { id: 'r-9' },
    })
    expect(decision.record.candidates).toHaveLength(2)
    for (const candidate of decision.record.candidates) expect(candidate.reason.length).toBeGreaterThan(10)
    expect(policy.counters).toMatchObject({ admitted: 2, rejected: 1, permits: { minted: 2 } })
  })

  it('keeps to `to` and `exclude`', async () => {
    const { policy } = await openTimed({ decodes: 3 })
    const only = policy.decide({ ...REQUEST, to: ['decode-2'] })
    expect(only.record.candidates.map((each) => each.path)).toEqual([
      'prefill-0/rail0>decode-2/rail0',
      'prefill-0/rail1>decode-2/rail1',
    ])
    const without = policy.decide({ ...REQUEST, to: ['decode-2'], exclude: ['prefill-0/rail0>decode-2/rail0'] })
    expect(without.record.candidates.map((each) => each.path)).toEqual(['prefill-0/rail1>decode-2/rail1'])
    expect(policy.decide(REQUEST).record.candidates).toHaveLength(6)
  })

  it('writes a record of schema kvseam.decision/1 with every field, nulls included', async () => {
    const { policy } = await openTimed()
    const { record } = policy.decide(REQUEST)
    // Other fields may be added under the same schema; these are never renamed and never left out.
    expect(JSON.parse(JSON.stringify(record))).toMatchObject({
      schema: 'kvseam.decision/1',
      seq: expect.any(Number),
      tUs: 1_000_000,
      epoch: expect.stringMatching(/^[0-9a-f]{12}$/),
      profile: 'reference',
      label: 'mock',
      faulted: false,
      req: { id: null, class: 'batch', bytes: 4096, deadlineUs: 2_000_000 },
      outcome: expect.any(String),
      reason: expect.any(String),
      selection: expect.any(String),
      chosen: 'prefill-0/rail0>decode-0/rail0',
      lease: 1,
      candidates: [expect.objectContaining({ chosen: true }), expect.objectContaining({ chosen: false })],
      omitted: 0,
    })
    expect(Object.keys(record.candidates[0]!)).toEqual(
      expect.arrayContaining([
        'activeSessions',
        'admissible',
        'availableAlternates',
        'chosen',
        'dropFraction',
        'fae',
        'gfs',
        'jitterMs',
        'maxSessions',
        'outcome',
        'p99Ms',
        'path',
        'pool',
        'prs',
        'rank',
        'reason',
        'state',
      ]),
    )
  })

  it('lists 32 candidates, the chosen one always, and counts the rest', async () => {
    const { policy } = await openTimed({ decodes: 20 })
    // The last in the order of names, with all others excluded but for enough to fill the list.
    const { record } = policy.decide({ ...REQUEST })
    expect(record.candidates).toHaveLength(32)
    expect(record.omitted).toBe(8)
    expect(record.candidates.some((each) => each.chosen)).toBe(true)
  })

  it('is published, and free of charge when nobody listens', async () => {
    const { policy } = await openTimed()
    const heard: DecisionRecord[] = []
    const listen = (message: unknown): void => void heard.push(message as DecisionRecord)
    subscribe('kvseam:decision', listen)
    onTestFinished(() => void unsubscribe('kvseam:decision', listen))
    const { record } = policy.decide(REQUEST)
    expect(heard.filter((each) => each.epoch === record.epoch)).toEqual([record])
  })

  const bad: [string, object | null | number, string, string][] = [
    ['no request', null, 'KVSEAM_INVALID_ARGUMENT', 'request is null'],
    ['a number', 5, 'KVSEAM_INVALID_ARGUMENT', 'request is 5'],
    [
      'an unknown workload',
      { ...REQUEST, workload: 'interactiv' },
      'KVSEAM_UNKNOWN_WORKLOAD',
      'did you mean interactive?',
    ],
    ['no workload', { ...REQUEST, workload: undefined }, 'KVSEAM_INVALID_ARGUMENT', 'workload is undefined'],
    [
      'a workload without a name',
      { ...REQUEST, workload: {} },
      'KVSEAM_INVALID_ARGUMENT',
      'workload.name is undefined',
    ],
    [
      'a workload of NaN',
      { ...REQUEST, workload: { name: 'x', criticality: Number.NaN, latencySlaMs: 1, jitterTolerance: 0 } },
      'KVSEAM_INVALID_ARGUMENT',
      'workload.criticality is NaN',
    ],
    ['negative bytes', { ...REQUEST, bytes: -1 }, 'KVSEAM_OUT_OF_BOUNDS', 'bytes is -1'],
    ['bytes of NaN', { ...REQUEST, bytes: Number.NaN }, 'KVSEAM_OUT_OF_BOUNDS', 'bytes is NaN'],
    ['bytes above 2^53', { ...REQUEST, bytes: 2 ** 53 }, 'KVSEAM_OUT_OF_BOUNDS', 'bytes is 9007199254740992'],
    ['bytes as text', { ...REQUEST, bytes: '4096' }, 'KVSEAM_INVALID_ARGUMENT', 'bytes is "4096"'],
    ['no origin', { ...REQUEST, from: undefined }, 'KVSEAM_INVALID_ARGUMENT', 'from is undefined'],
    ['an unknown origin', { ...REQUEST, from: 'prefil-0' }, 'KVSEAM_NO_PATH', "from 'prefil-0'"],
    ['a destination that is no list', { ...REQUEST, to: DECODE }, 'KVSEAM_INVALID_ARGUMENT', 'to is "decode-0"'],
    ['an unknown destination', { ...REQUEST, to: ['decode-9'] }, 'KVSEAM_NO_PATH', 'decode-9'],
    ['no destination', { ...REQUEST, to: [] }, 'KVSEAM_NO_PATH', 'connect the agents'],
    ['exclusions that are no list', { ...REQUEST, exclude: [5] }, 'KVSEAM_INVALID_ARGUMENT', 'exclude is Array'],
    ['a deadline of 0', { ...REQUEST, deadlineMs: 0 }, 'KVSEAM_OUT_OF_BOUNDS', 'deadlineMs is 0'],
    ['a deadline of NaN', { ...REQUEST, deadlineMs: Number.NaN }, 'KVSEAM_OUT_OF_BOUNDS', 'deadlineMs is NaN'],
    ['a request id that is no text', { ...REQUEST, requestId: 7 }, 'KVSEAM_INVALID_ARGUMENT', 'requestId is 7'],
  ]
  it.each(bad)('of %s is refused and changes nothing', async (_, request, code, text) => {
    const { seam, policy } = await openTimed()
    const before = JSON.stringify([policy.counters, [...seam.paths].map((path) => path.health)])
    for (const judge of ['decide', 'explain'] as const) {
      await expectRefusal(() => policy[judge](request as never), { code: code as never, says: [text] })
    }
    expect(JSON.stringify([policy.counters, [...seam.paths].map((path) => path.health)])).toBe(before)
  })
})

describe('explain()', () => {
  it('says what decide() would, and takes nothing', async () => {
    const { seam, policy } = await openTimed()
    const explained = policy.explain(REQUEST)
    expect([...seam.paths].every((path) => path.health.activeSessions === 0)).toBe(true)
    expect(policy.counters).toMatchObject({ admitted: 0, permits: { minted: 0 } })
    const { record } = policy.decide(REQUEST)
    const { seq, lease, ...same } = record
    expect(explained).toMatchObject(same)
    expect(explained.lease).toBeNull()
  })
})

describe('leases', () => {
  it('end once: by release, which is idempotent', async () => {
    const { seam, policy } = await openTimed()
    const { lease, path } = admit(seam, REQUEST)
    expect(policy.release(lease)).toBe(true)
    expect(policy.release(lease)).toBe(false)
    expect(path.health.activeSessions).toBe(0)
    for (const nonsense of [0, -1, 1e9, Number.NaN, undefined]) expect(policy.release(nonsense as number)).toBe(false)
  })

  it('or by the clock, two seconds after the deadline, without anybody asking', async () => {
    const { seam, policy, clock } = await openTimed()
    const { lease, path } = admit(seam, { ...REQUEST, deadlineMs: 500 })
    clock.us += 2_499_999
    policy.explain(REQUEST)
    expect(path.health.activeSessions).toBe(1)
    clock.us += 2
    // The orchestrator's own timer looks four times a second.
    const until = performance.now() + 20_000
    while (path.health.activeSessions !== 0 && performance.now() < until)
      await new Promise((resolve) => setTimeout(resolve, 10))
    expect(path.health.activeSessions).toBe(0)
    expect(policy.release(lease)).toBe(false)
  })

  it('of an abandoned decision go back together with the permit', async () => {
    const { seam, policy } = await openTimed()
    const decision = admit(seam, REQUEST)
    policy.abandon(decision)
    policy.abandon(decision)
    expect(decision.path.health.activeSessions).toBe(0)
    expect(policy.counters.permits).toMatchObject({ revoked: 1, outstanding: 0 })
  })
})

describe('observe()', () => {
  const late = { path: 'prefill-0/rail0>decode-0/rail0', outcome: 'ok', totalUs: 60_000, bytes: 4096 } as const

  it('moves a path through its states, each told as a record with its figures', async () => {
    const { seam, policy } = await openTimed()
    const changes: { path: string; from: string; to: string; figures: Record<string, number> }[] = []
    const listen = (message: unknown): void => void changes.push(message as never)
    subscribe('kvseam:path:state', listen)
    onTestFinished(() => void unsubscribe('kvseam:path:state', listen))
    const path = seam.paths.get(late.path)!
    for (let i = 0; i < 12 && path.state === 'healthy'; i++) policy.observe(late)
    expect(path.state).not.toBe('healthy')
    expect(changes.at(-1)).toMatchObject({
      schema: 'kvseam.transition/1',
      path: late.path,
      from: 'healthy',
      to: path.state,
      figures: { p99Ms: 60, samples: path.health.samples },
    })
    // Another path carries on, and the same one still takes what can wait.
    expect(policy.decide({ ...REQUEST, workload: 'interactive' }).record.chosen).toBe('prefill-0/rail1>decode-0/rail1')
  })

  it('does not hurt a path for what is not its fault', async () => {
    const { seam, policy } = await openTimed()
    for (const outcome of ['remote_busy', 'local', 'cancelled'] as const) policy.observe({ ...late, outcome })
    policy.observe({ ...late, selfDelayed: true })
    expect(seam.paths.get(late.path)!.health.samples).toBe(0)
  })

  it.each([
    [null, 'KVSEAM_INVALID_ARGUMENT', 'observation is null'],
    [{ ...late, path: 'prefill-0/rail0>decode-0/rail7' }, 'KVSEAM_NO_PATH', 'did you mean'],
    [{ ...late, path: 5 }, 'KVSEAM_INVALID_ARGUMENT', 'observation.path is 5'],
    [{ ...late, totalUs: -1 }, 'KVSEAM_INVALID_ARGUMENT', 'totalUs is -1'],
    [{ ...late, totalUs: Number.NaN }, 'KVSEAM_INVALID_ARGUMENT', 'totalUs is NaN'],
    [{ ...late, outcome: 'slow' }, 'KVSEAM_INVALID_ARGUMENT', 'outcome is slow'],
    [{ ...late, dropFraction: 2 }, 'KVSEAM_INVALID_ARGUMENT', 'dropFraction is 2'],
  ])('%j is refused and changes nothing', async (observation, code, text) => {
    const { seam, policy } = await openTimed()
    await expectRefusal(() => policy.observe(observation as Observation), { code: code as never, says: [text] })
    expect([...seam.paths].every((path) => path.health.samples === 0)).toBe(true)
  })
})
