// Who is admitted where: deadlines, classes, capacity, reservations, recompute, retries, panic, groups, pins, and what flips it.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { WORKLOADS, type WorkloadProfile } from '../../../src/policy/workload.js'
import { idealUs, MIB, path, paths, Story } from './streams.js'

test('a deadline no path can meet is refused at once, with when to come back and what would have let it in', () => {
  const story = new Story(paths(2)).prove(0).prove(1)
  for (let i = 0; i < 20; i++) story.decide([0, 1], { deadlineUs: story.nowUs + 10_000_000 })
  const refused = story.decide([0, 1], { deadlineUs: story.nowUs + 20_000 })
  expect(refused).toMatchObject({ verdict: 'rejected', outcome: 'rejected_deadline', path: -1, leaseId: 0 })
  expect(refused.retryAfterUs).toBeGreaterThan(10_000)
  const detail = refused.detail()
  for (const candidate of detail.candidates) {
    expect(candidate).toMatchObject({ admissible: false, outcome: 'rejected_deadline' })
    expect(candidate.failed[0]!.have).toBeGreaterThan(candidate.failed[0]!.limit!)
  }
  expect(detail.flips[0]).toMatchObject({ to: 'admitted', changes: [{ field: 'deadlineUs' }] })
})

test('the deadline that the record says would flip it does flip it, and one microsecond less does not', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 30 }),
      fc.integer({ min: 1, max: 400 }),
      fc.integer({ min: 1, max: 300_000 }),
      (load, mib, leftUs) => {
        const story = new Story(paths(2)).prove(0).prove(1)
        for (let i = 0; i < load; i++) story.decide([0, 1], { deadlineUs: story.nowUs + 60_000_000 })
        const verdict = (deadlineUs: number) => story.policy.explain({ ...base, deadlineUs }, story.nowUs).verdict
        const base = {
          requestId: null,
          workload: WORKLOADS.interactive,
          bytes: mib * MIB,
          deadlineUs: story.nowUs + leftUs,
          candidates: [0, 1],
          leaseUs: 1_000_000,
          attempt: 0,
          recomputeUs: null,
          mayQueue: false,
          seq: 1,
        }
        const { flips } = story.policy.explain(base, story.nowUs).detail()
        const flip = flips.find((each) => each.to !== 'other_path')!
        // Of a refused request, the candidate that needs least.
        const needs = flips.filter((each) => each.to === flip.to).map((each) => each.changes[0]!.need!)
        const need = Math.min(...needs)
        if (flip.to === 'admitted') {
          expect(verdict(need)).toBe('admitted')
          expect(verdict(need - 1)).toBe('rejected')
        } else {
          expect(verdict(need)).toBe('rejected')
          expect(verdict(need + 1)).toBe('admitted')
        }
      },
    ),
    { numRuns: 60 },
  )
})

test('strict work avoids a degraded path while a healthy one can serve, and takes it when none can', () => {
  const story = new Story(paths(4))
  for (let i = 0; i < 4; i++) story.prove(i)
  story.pass(6000, () => story.observe(0, { totalUs: 60_000 }))
  expect(story.state(0)).toMatch(/^degraded/)
  const deadlineUs = story.nowUs + 1_000_000
  expect(story.decide([0, 1], { workload: WORKLOADS.release, deadlineUs }).path).toBe(1)
  const alone = story.decide([0], { workload: WORKLOADS.release, deadlineUs })
  expect(alone).toMatchObject({ verdict: 'admitted', outcome: 'admitted_degraded', path: 0 })
})

test('isolate never gives strict work to a degraded path, but lets a fresh system carry its first transfer', () => {
  const story = new Story(paths(4), {}, 'isolate')
  expect(story.transfer([0], 1, { workload: WORKLOADS.release }).verdict).toBe('admitted')
  for (let i = 0; i < 4; i++) story.prove(i)
  story.pass(6000, () => story.observe(0, { totalUs: 60_000 }))
  const refused = story.decide([0], { workload: WORKLOADS.release, deadlineUs: story.nowUs + 60_000_000 })
  expect(refused).toMatchObject({ verdict: 'rejected', outcome: 'rejected_state' })
})

test('work goes to the path that will be done first', () => {
  const story = new Story(paths(3))
  for (let i = 0; i < 3; i++) story.prove(i)
  const taken = [1, 2, 3].map(() => story.decide([0, 1, 2], { deadlineUs: story.nowUs + 1_000_000 }).path)
  expect(taken.toSorted()).toEqual([0, 1, 2])
})

test('tolerant work cannot take what is set aside for strict classes; strict work can', () => {
  const story = new Story(paths(1, { maxSessions: 10 }))
  const deadlineUs = 60_000_000
  story.decide([0], { workload: WORKLOADS.release, deadlineUs })
  let batch = 0
  while (story.decide([0], { workload: WORKLOADS.batch, deadlineUs }).verdict === 'admitted') batch++
  // 10 sessions, 1 in use by release, 1 more of its 2 kept, 2 of 5 kept for interactive.
  expect(batch).toBe(6)
  const refused = story.decide([0], { workload: WORKLOADS.batch, deadlineUs })
  expect(refused.outcome).toBe('rejected_reservation')
  expect(story.decide([0], { workload: WORKLOADS.release, deadlineUs }).verdict).toBe('admitted')
  expect(story.decide([0], { workload: WORKLOADS.interactive, deadlineUs }).verdict).toBe('admitted')
})

test('a class that has not asked for a while lends most of what is set aside for it', () => {
  const admitted = (idleMs: number) => {
    const story = new Story(paths(1, { maxSessions: 20 }))
    story.policy.release(story.decide([0], { workload: WORKLOADS.release }).leaseId, 0)
    story.nowUs += idleMs * 1000
    let batch = 0
    const deadlineUs = story.nowUs + 60_000_000
    while (story.decide([0], { workload: WORKLOADS.batch, deadlineUs, leaseUs: 1e12 }).verdict === 'admitted') batch++
    return batch
  }
  expect(admitted(20_000)).toBe(admitted(1000) + 3)
})

test('a class of its own has a reservation of its own', () => {
  const gold: WorkloadProfile = {
    ...WORKLOADS.interactive,
    name: 'gold',
    reservation: { share: 0.5, lendableIdle: 0, lendableBusy: 0 },
  }
  const story = new Story(paths(1, { maxSessions: 10 }))
  const deadlineUs = 60_000_000
  story.decide([0], { workload: gold, deadlineUs })
  let batch = 0
  while (story.decide([0], { workload: WORKLOADS.batch, deadlineUs }).verdict === 'admitted') batch++
  expect(batch).toBe(3)
  for (let i = 0; i < 4; i++) expect(story.decide([0], { workload: gold, deadlineUs }).verdict).toBe('admitted')
})

test('bytes in flight are bounded where the path says so', () => {
  const story = new Story([path('a', { maxBytes: 150 * MIB })])
  const first = story.decide([0], { bytes: 100 * MIB })
  expect(story.decide([0], { bytes: 100 * MIB, deadlineUs: 60_000_000 }).outcome).toBe('rejected_bytes')
  story.policy.release(first.leaseId, 0)
  expect(story.decide([0], { bytes: 100 * MIB }).verdict).toBe('admitted')
})

test('computing again is the answer when it is faster, or when no path can serve', () => {
  const story = new Story(paths(1)).prove(0)
  const idle = idealUs(100 * MIB)
  expect(story.decide([0], { recomputeUs: 1000 })).toMatchObject({ verdict: 'recompute_locally', leaseId: 0 })
  expect(story.decide([0], { recomputeUs: idle * 10 }).verdict).toBe('admitted')
  expect(story.decide([0], { recomputeUs: idle * 10, deadlineUs: story.nowUs }).verdict).toBe('recompute_locally')
  expect(story.decide([], { recomputeUs: 5 }).verdict).toBe('recompute_locally')
})

test('retries are bounded by first attempts and time, and come back with time', () => {
  const story = new Story(paths(4))
  for (let i = 0; i < 4; i++) story.prove(i)
  const retry = () => story.decide([0, 1, 2, 3], { attempt: 1, deadlineUs: story.nowUs + 60_000_000, bytes: MIB })
  let allowed = 0
  while (retry().verdict === 'admitted') allowed++
  expect(allowed).toBeGreaterThanOrEqual(9)
  expect(allowed).toBeLessThanOrEqual(11)
  const refused = retry()
  expect(refused.outcome).toBe('rejected_retry_budget')
  story.nowUs += refused.retryAfterUs! + 1
  expect(retry().verdict).toBe('admitted')
})

test('when every path is barred the least bad one is used, one transfer at a time, and never a corrupting one', () => {
  const story = new Story(paths(3))
  for (let i = 0; i < 3; i++) story.prove(i)
  for (const index of [0, 1]) for (let i = 0; i < 3; i++) story.observe(index, { outcome: 'transport' })
  story.observe(2, { outcome: 'corrupt' })
  const panicked = [1, 2, 3].map(() => story.decide([0, 1, 2], { deadlineUs: story.nowUs + 60_000_000 }))
  expect(panicked.map((each) => each.outcome)).toEqual(['panic_admitted', 'panic_admitted', 'rejected_state'])
  expect(panicked.map((each) => each.path).toSorted()).toEqual([-1, 0, 1])
  expect(panicked[0]!.detail()).toMatchObject({ panic: true })
  const isolated = new Story(paths(1), {}, 'isolate').prove(0)
  for (let i = 0; i < 3; i++) isolated.observe(0, { outcome: 'transport' })
  expect(isolated.decide([0]).outcome).toBe('rejected_state')
})

test('when two members of a risk group get worse together, the others are avoided before they have failed', () => {
  const story = new Story(paths(8).map((each, i) => ({ ...each, riskGroups: [i < 3 ? 'switch:a' : 'switch:b'] })))
  for (let i = 0; i < 8; i++) story.prove(i)
  for (const index of [0, 1]) for (let i = 0; i < 3; i++) story.observe(index, { outcome: 'transport' })
  const alarms = story.tick().alarms.concat(story.pass(250).flatMap((each) => each.alarms))
  expect(alarms).toMatchObject([{ kind: 'group_suspect', subject: 'switch:a', active: true, figures: { members: 3 } }])
  const { candidates } = story.decide([2, 3]).detail()
  expect(candidates[0]!.model!.level).toBe(candidates[1]!.model!.level + 1)
  const later = story.pass(11_000).flatMap((each) => each.alarms)
  expect(later).toMatchObject([{ subject: 'switch:a', active: false }])
})

test('an operator’s pin overrides evidence, is said in transitions, and always ends', () => {
  const story = new Story(paths(2))
  story.prove(0).prove(1)
  expect(() => story.policy.pin(0, 'quarantined', 'work on the cable', story.nowUs, story.nowUs)).toThrow(/always ends/)
  expect(story.policy.pin(0, 'quarantined', 'work on the cable', story.nowUs + 5_000_000, story.nowUs)).toMatchObject([
    { from: 'healthy', to: 'quarantined', cause: 'pinned' },
  ])
  expect(story.transfer([0, 1]).path).toBe(1)
  expect(story.decide([0]).outcome).toBe('rejected_state')
  const ended = story.pass(6000).flatMap((each) => each.transitions)
  expect(ended).toMatchObject([{ path: 0, from: 'quarantined', to: 'healthy', cause: 'pin_ended' }])
  expect(story.decide([0]).verdict).toBe('admitted')
})

test('new settings hold from the next call on, states and leases stay, and the hash says so', () => {
  const story = new Story(paths(1)).prove(0)
  const held = story.decide([0])
  const { policy } = story
  policy.configure({ ...story.settings, failuresInARow: 1 }, 'other')
  expect(policy.configHash).toBe('other')
  expect(story.state(0)).toBe('healthy')
  story.observe(0, { outcome: 'transport' })
  expect(story.state(0)).toBe('quarantined')
  expect(policy.release(held.leaseId, story.nowUs)).toBe(true)
})

test('a window that grows by a reload starts anew and goes on forgetting', () => {
  const story = new Story(paths(1)).prove(0)
  story.pass(20_000, () => story.observe(0))
  story.policy.configure({ ...story.settings, windowMs: 40_000 }, 'longer')
  story.pass(1000, () => story.observe(0))
  expect(story.policy.snapshot(0).samples).toBeLessThanOrEqual(5)
  story.pass(41_000)
  expect(story.policy.snapshot(0).samples).toBe(0)
})
