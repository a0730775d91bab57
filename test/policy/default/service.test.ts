// The service model on sound links in virtual time: no discipline and no load makes a sound path look slow.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createDefaultPolicy } from '../../../src/policy/default/profile.js'
import { WORKLOADS } from '../../../src/policy/workload.js'
import { BYTES_PER_US, FIXED_US, MIB, path, paths, request, Story, sample } from './streams.js'

interface Moving {
  readonly leaseId: number
  readonly bytes: number
  readonly startUs: number
  left: number
}

/** Sends transfers over one link and returns the slowdown figures of the path at the end. */
function drive(discipline: 'fifo' | 'fair', gapsUs: readonly number[], sizes: readonly number[], speed = 1) {
  const policy = createDefaultPolicy()
  policy.addPath(path('a', { maxSessions: 1000 }), 0)
  const moving: Moving[] = []
  let nowUs = 0
  let next = 0
  let arrivalUs = 0
  const states = new Set<string>()
  while (next < gapsUs.length || moving.length > 0) {
    const served = discipline === 'fifo' ? moving.slice(0, 1) : moving
    const rate = (BYTES_PER_US * speed) / Math.max(1, served.length)
    const endsUs =
      served.length === 0 ? Number.POSITIVE_INFINITY : nowUs + Math.min(...served.map((each) => each.left)) / rate
    const untilUs = Math.min(endsUs, next < gapsUs.length ? arrivalUs : Number.POSITIVE_INFINITY)
    for (const each of served) each.left -= (untilUs - nowUs) * rate
    nowUs = untilUs
    for (const done of moving.filter((each) => each.left <= 1e-6)) {
      moving.splice(moving.indexOf(done), 1)
      const settledUs = Math.ceil(nowUs + FIXED_US)
      policy.observe(
        sample(0, { leaseId: done.leaseId, bytes: done.bytes, totalUs: settledUs - done.startUs }),
        settledUs,
      )
      policy.release(done.leaseId, settledUs)
    }
    if (next < gapsUs.length && arrivalUs <= nowUs) {
      const bytes = sizes[next]!
      const atUs = Math.floor(nowUs)
      const { leaseId } = policy.decide(
        request([0], {
          bytes,
          deadlineUs: atUs + 600_000_000,
          leaseUs: 600_000_000,
          seq: next,
          workload: WORKLOADS.batch,
        }),
        atUs,
      )
      expect(leaseId).toBeGreaterThan(0)
      moving.push({ leaseId, bytes, startUs: atUs, left: bytes })
      arrivalUs = nowUs + gapsUs[next]!
      next++
    }
    for (const each of policy.tick(Math.floor(nowUs)).transitions) states.add(each.to)
  }
  const { candidates } = policy.explain(request([0]), Math.ceil(nowUs) + FIXED_US).detail()
  return { slowdown: candidates[0]!.model!.slowdown, states }
}

const sizes = fc.array(fc.integer({ min: MIB, max: 200 * MIB }), { minLength: 30, maxLength: 30 })

test('on a sound link, first in first out or fair, at 90 % load, the median slowdown stays within a tenth of 1', () => {
  for (const discipline of ['fifo', 'fair'] as const) {
    fc.assert(
      fc.property(
        sizes,
        fc.array(fc.integer({ min: 1, max: 199 }), { minLength: 30, maxLength: 30 }),
        (bytes, shares) => {
          const meanUs = bytes.reduce((sum, each) => sum + each, 0) / bytes.length / BYTES_PER_US
          const gapsUs = shares.map((each) => Math.ceil((each / 100) * (meanUs / 0.9)))
          const { slowdown, states } = drive(discipline, gapsUs, bytes)
          expect(slowdown[0]).toBeLessThanOrEqual(1.1)
          for (const state of states) expect(state).not.toMatch(/^quarantine/)
        },
      ),
      { numRuns: 40 },
    )
  }
})

test('a link at a fifth of its rate shows a slowdown of about five under both disciplines', () => {
  const bytes = Array.from({ length: 30 }, (_, i) => (40 + ((i * 37) % 80)) * MIB)
  const gapsUs = bytes.map(() => 80_000)
  for (const discipline of ['fifo', 'fair'] as const) {
    const { slowdown } = drive(discipline, gapsUs, bytes, 0.2)
    expect(slowdown[0]).toBeGreaterThan(3.5)
    expect(slowdown[0]).toBeLessThan(6)
  }
})

test('a short transfer that took some milliseconds of noise is not slow', () => {
  const story = new Story(paths(1)).prove(0)
  for (let i = 0; i < 40; i++) story.observe(0, { bytes: 65_536, totalUs: 5000 })
  story.pass(1000)
  expect(story.state(0)).toBe('healthy')
})

test('a path without a given rate learns it, and predicts with it', () => {
  const story = new Story([{ id: 'a', pool: 'pool', maxSessions: 0, softCapacityFraction: 0, riskGroups: [] }])
  const bytes = 100 * MIB
  for (let i = 0; i < 20; i++) {
    const decision = story.decide([0], { bytes })
    story.nowUs += 100_000
    story.observe(0, { leaseId: decision.leaseId, bytes, totalUs: 100_000 })
    story.policy.release(decision.leaseId, story.nowUs)
    story.pass(250)
  }
  const [p50Us] = story.decide([0], { bytes }).detail().candidates[0]!.model!.predictedUs
  expect(p50Us).toBeGreaterThan(90_000)
  expect(p50Us).toBeLessThan(115_000)
  expect(story.state(0)).toBe('healthy')
})

test('what a whole class suffers together is nobody’s fault, and is reported as common mode', () => {
  const story = new Story(paths(4))
  for (let i = 0; i < 4; i++) story.prove(i)
  const alarms = story
    .pass(12_000, () => {
      for (let i = 0; i < 4; i++) story.observe(i, { totalUs: 45_000 })
    })
    .flatMap((each) => each.alarms)
  expect(alarms).toMatchObject([{ kind: 'common_mode', active: true }])
  for (let i = 0; i < 4; i++) expect(story.state(i)).toBe('healthy')
})
