// Input that makes no sense, or comes twice, or late: a defined answer, and nothing changed that should not be.

import { expect, test } from 'vitest'
import { SeamError } from '../../../src/errors.js'
import { createDefaultPolicy } from '../../../src/policy/default/profile.js'
import { WORKLOADS } from '../../../src/policy/workload.js'
import { path, paths, request, Story, sample } from './streams.js'

test('an id that is taken, no id and capacities that are none are refused', () => {
  const policy = createDefaultPolicy()
  policy.addPath(path('a'), 0)
  for (const bad of [
    path('a'),
    path(''),
    path('b', { maxSessions: -1 }),
    path('b', { maxSessions: 1.5 }),
    path('b', { maxSessions: Number.NaN }),
    path('b', { nominal: { fixedUs: 0, bytesPerSecond: 0 } }),
    path('b', { nominal: { fixedUs: Number.NaN, bytesPerSecond: 1 } }),
    path('b', { maxBytes: -1 }),
  ]) {
    expect(() => policy.addPath(bad, 0)).toThrow(SeamError)
  }
  expect(policy.addPath(path('b'), 0)).toBe(1)
})

test('capacity 0 takes the default of the settings', () => {
  const story = new Story(paths(1, { maxSessions: 0 }), { sessionsPerPath: 3 })
  expect(story.policy.snapshot(0).maxSessions).toBe(3)
})

test('samples of unknown paths and with impossible figures are refused and change nothing', () => {
  const story = new Story(paths(1)).prove(0)
  const before = JSON.stringify(story.policy.snapshot(0))
  const bad = [
    { path: 1 },
    { path: -1 },
    { path: 0.5 },
    { path: Number.NaN },
    { totalUs: Number.NaN },
    { totalUs: -1 },
    { totalUs: Number.POSITIVE_INFINITY },
    { bytes: Number.NaN },
    { bytes: -1 },
    { dropFraction: 2 },
    { dropFraction: Number.NaN },
  ]
  for (const changes of bad) expect(() => story.policy.observe(sample(0, changes), story.nowUs)).toThrow(SeamError)
  expect(JSON.stringify(story.policy.snapshot(0))).toBe(before)
})

test('requests with impossible figures or candidates are refused and take nothing', () => {
  const story = new Story(paths(2))
  const bad = [
    { bytes: Number.NaN },
    { bytes: -1 },
    { deadlineUs: Number.NaN },
    { deadlineUs: -5 },
    { leaseUs: 0 },
    { leaseUs: Number.NaN },
    { recomputeUs: Number.NaN },
    { attempt: -1 },
    { seq: Number.NaN },
    { candidates: [1, 0] },
    { candidates: [0, 0] },
    { candidates: [2] },
    { candidates: [0.5] },
    { candidates: [-1] },
    { workload: { ...WORKLOADS.batch, criticality: Number.NaN } },
    { workload: { ...WORKLOADS.batch, quantile: 0.42 as 0.5 } },
    { workload: { ...WORKLOADS.batch, sla: { baseMs: Number.NaN, multiple: 1 } } },
    { workload: { ...WORKLOADS.batch, reservation: { share: 2, lendableIdle: 0, lendableBusy: 0 } } },
  ]
  for (const changes of bad) expect(() => story.policy.decide(request([0, 1], changes), 0)).toThrow(SeamError)
  expect(story.policy.snapshot(0).activeSessions + story.policy.snapshot(1).activeSessions).toBe(0)
  for (const now of [Number.NaN, -1, Number.POSITIVE_INFINITY]) {
    expect(() => story.policy.decide(request([0]), now)).toThrow(SeamError)
    expect(() => story.policy.tick(now)).toThrow(SeamError)
  }
})

test('no candidate is an answer, one candidate is enough', () => {
  const story = new Story(paths(1))
  expect(story.decide([])).toMatchObject({ verdict: 'rejected', outcome: 'no_path', path: -1, retryAfterUs: null })
  expect(story.decide([]).detail()).toMatchObject({ chosen: null, candidates: [], flips: [] })
  expect(story.decide([0]).verdict).toBe('admitted')
})

test('zero bytes are admitted, moved and judged', () => {
  const story = new Story(paths(1))
  for (let i = 0; i < 10; i++) expect(story.transfer([0], 1, { bytes: 0 }).verdict).toBe('admitted')
  story.pass(250)
  expect(Number.isFinite(story.policy.snapshot(0).gfs)).toBe(true)
  const { predictedUs } = story.decide([0], { bytes: 0 }).detail().candidates[0]!.model!
  for (const us of predictedUs) expect(Number.isFinite(us)).toBe(true)
})

test('a deadline that is over is refused, with the deadline as the reason', () => {
  const story = new Story(paths(1)).prove(0)
  expect(story.decide([0], { deadlineUs: story.nowUs - 1 }).outcome).toBe('rejected_deadline')
  expect(story.decide([0], { deadlineUs: 0 }).outcome).toBe('rejected_deadline')
})

test('a second completion of a lease and one that comes after its release count for nothing', () => {
  const story = new Story(paths(1)).prove(0)
  const before = story.policy.snapshot(0).samples
  const { leaseId } = story.decide([0])
  story.nowUs += 10_000
  story.observe(0, { leaseId })
  for (let i = 0; i < 5; i++) expect(story.observe(0, { leaseId, outcome: 'corrupt' })).toEqual([])
  expect(story.policy.release(leaseId, story.nowUs)).toBe(true)
  expect(story.observe(0, { leaseId, outcome: 'corrupt' })).toEqual([])
  expect(story.policy.release(leaseId, story.nowUs)).toBe(false)
  expect(story.policy.snapshot(0)).toMatchObject({ samples: before + 1, activeSessions: 0, state: 'healthy' })
})

test('a completion with another path’s lease is not believed', () => {
  const story = new Story(paths(2)).prove(0).prove(1)
  const { leaseId } = story.decide([0])
  expect(story.observe(1, { leaseId, outcome: 'corrupt' })).toEqual([])
  expect(story.state(1)).toBe('healthy')
  expect(story.observe(0, { leaseId, outcome: 'corrupt' })).toMatchObject([{ to: 'quarantined' }])
})

test('leases nobody gives back expire, once, and free their capacity', () => {
  const story = new Story(paths(1, { maxSessions: 2 })).prove(0)
  const leases = [1, 2].map(() => story.decide([0], { leaseUs: 500_000, deadlineUs: story.nowUs + 60_000_000 }).leaseId)
  story.nowUs += 500_000
  expect(story.tick().expiredLeases).toEqual(leases)
  expect(story.tick().expiredLeases).toEqual([])
  expect(story.policy.release(leases[0]!, story.nowUs)).toBe(false)
  expect(story.policy.snapshot(0).activeSessions).toBe(0)
})

test('unknown leases and tickets are no, never an error', () => {
  const story = new Story(paths(1))
  for (const id of [0, -1, 7, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(story.policy.release(id, 0)).toBe(false)
    expect(story.policy.withdraw(id, 0)).toBe(false)
    expect(story.policy.start(id, 0)).toBe(false)
  }
})

test('a clock that steps back stands still: nothing is lost, nothing comes twice', () => {
  const story = new Story(paths(1)).prove(0)
  const { leaseId } = story.decide([0])
  const before = story.policy.snapshot(0)
  story.nowUs -= 200_000
  expect(story.tick().transitions).toEqual([])
  story.observe(0, { leaseId })
  expect(story.policy.release(leaseId, story.nowUs)).toBe(true)
  expect(story.policy.snapshot(0)).toMatchObject({
    state: before.state,
    samples: before.samples + 1,
    activeSessions: 0,
  })
})

test('a transfer that was posted late is judged from its posting', () => {
  const story = new Story(paths(1)).prove(0)
  const { leaseId } = story.decide([0])
  story.nowUs += 5_000_000
  expect(story.policy.start(leaseId, story.nowUs)).toBe(true)
  story.pass(0)
  story.nowUs += 10_600
  story.observe(0, { leaseId, totalUs: 10_600 })
  expect(story.policy.start(leaseId, story.nowUs)).toBe(false)
  story.pass(500)
  expect(story.state(0)).toBe('healthy')
})
