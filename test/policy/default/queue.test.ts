// Requests that may wait: order, grants, giving up, withdrawing, and nothing lost.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { QueueAnswer } from '../../../src/policy/policy.js'
import { WORKLOADS } from '../../../src/policy/workload.js'
import { idealUs, MIB, paths, Story } from './streams.js'

/** Fills a path with one transfer and returns its lease. */
function busy(story: Story, index: number): number {
  const { leaseId } = story.decide([index], { deadlineUs: story.nowUs + 60_000_000 })
  expect(leaseId).toBeGreaterThan(0)
  return leaseId
}

function settle(story: Story, index: number, leaseId: number): void {
  story.observe(index, { leaseId, totalUs: idealUs(100 * MIB) })
  expect(story.policy.release(leaseId, story.nowUs)).toBe(true)
}

test('a request that may wait is queued behind a busy path and granted when that is through', () => {
  const story = new Story(paths(1)).prove(0)
  const held = busy(story, 0)
  const waiting = story.decide([0], { mayQueue: true, deadlineUs: story.nowUs + 1_000_000 })
  expect(waiting).toMatchObject({ verdict: 'queued', path: -1, leaseId: 0 })
  expect(waiting.ticket).toBeGreaterThan(0)
  story.nowUs += idealUs(100 * MIB)
  settle(story, 0, held)
  expect(story.policy.nextTickUs()).toBeLessThanOrEqual(story.nowUs)
  const { granted, abandoned } = story.tick()
  expect(abandoned).toEqual([])
  expect(granted).toMatchObject([{ ticket: waiting.ticket, decision: { verdict: 'admitted', path: 0 } }])
  expect(granted[0]!.decision.leaseId).toBeGreaterThan(0)
})

test('the earliest deadline goes first, whatever came first', () => {
  const story = new Story(paths(1)).prove(0)
  let held = busy(story, 0)
  const after = [900, 300, 600].map(
    (ms) => story.decide([0], { mayQueue: true, deadlineUs: story.nowUs + ms * 1000 }).ticket,
  )
  const order: number[] = []
  for (let i = 0; i < 3; i++) {
    story.nowUs += idealUs(100 * MIB)
    settle(story, 0, held)
    const { granted } = story.tick()
    expect(granted).toHaveLength(1)
    order.push(granted[0]!.ticket)
    held = granted[0]!.decision.leaseId
  }
  expect(order).toEqual([after[1], after[2], after[0]])
})

test('a request is given up when no path could serve it in time any more, and not before', () => {
  const story = new Story(paths(1)).prove(0)
  story.decide([0], { bytes: 1500 * MIB, deadlineUs: story.nowUs + 60_000_000 })
  const deadlineUs = story.nowUs + 100_000
  // Too large to overtake.
  const bytes = 400 * MIB
  const { ticket } = story.decide([0], { bytes, mayQueue: true, deadlineUs })
  const lost: QueueAnswer[] = []
  let atUs = 0
  while (lost.length === 0 && story.nowUs < deadlineUs) {
    story.nowUs = Math.max(story.nowUs + 1, story.policy.nextTickUs())
    lost.push(...story.tick().abandoned)
    atUs = story.nowUs
  }
  expect(lost).toMatchObject([{ ticket, decision: { verdict: 'rejected' } }])
  const latestUs = deadlineUs - idealUs(bytes)
  expect(atUs).toBeGreaterThan(latestUs - 20_000)
  expect(atUs).toBeLessThanOrEqual(deadlineUs)
})

test('a withdrawn request is neither granted nor given up, and can be withdrawn once', () => {
  const story = new Story(paths(1)).prove(0)
  const held = busy(story, 0)
  const { ticket } = story.decide([0], { mayQueue: true, deadlineUs: story.nowUs + 1_000_000 })
  expect(story.policy.withdraw(ticket, story.nowUs)).toBe(true)
  expect(story.policy.withdraw(ticket, story.nowUs)).toBe(false)
  story.nowUs += idealUs(100 * MIB)
  settle(story, 0, held)
  expect(story.tick()).toMatchObject({ granted: [], abandoned: [] })
})

test('explain says queued without queueing', () => {
  const story = new Story(paths(1)).prove(0)
  const held = busy(story, 0)
  const ask = { ...baseOf(story), mayQueue: true }
  expect(story.policy.explain(ask, story.nowUs)).toMatchObject({ verdict: 'queued', ticket: 0 })
  story.nowUs += idealUs(100 * MIB)
  settle(story, 0, held)
  expect(story.tick().granted).toEqual([])
})

test('a full queue refuses', () => {
  const story = new Story(paths(1), { queueMost: 1 }).prove(0)
  busy(story, 0)
  const ask = () => story.decide([0], { mayQueue: true, deadlineUs: story.nowUs + 1_000_000 }).verdict
  expect([ask(), ask()]).toEqual(['queued', 'rejected'])
})

test('small transfers share a path that is nearly through instead of waiting for it', () => {
  const story = new Story(paths(1)).prove(0)
  const verdicts = [1, 2, 3].map(
    () => story.decide([0], { mayQueue: true, bytes: MIB, deadlineUs: story.nowUs + 1_000_000 }).verdict,
  )
  expect(verdicts).toEqual(['admitted', 'admitted', 'admitted'])
})

test('a transfer that hangs holds up its path for a while, and not until somebody gives it up', () => {
  const story = new Story(paths(1)).prove(0)
  const own = idealUs(100 * MIB)
  const startUs = story.nowUs
  busy(story, 0)
  story.nowUs += Math.round(1.5 * own)
  const { verdict } = story.decide([0], { mayQueue: true, deadlineUs: startUs + 10_000_000 })
  expect(verdict).toBe('queued')
  const granted: QueueAnswer[] = []
  while (granted.length === 0 && story.nowUs < startUs + 5_000_000) {
    story.nowUs = Math.max(story.nowUs + 1, story.policy.nextTickUs())
    granted.push(...story.tick().granted)
  }
  // Late by twice its own time and 20 ms: not at once, for a slow path must not be stacked, and not much later.
  expect(story.nowUs - startUs).toBeGreaterThan(2.5 * own + 20_000)
  expect(story.nowUs - startUs).toBeLessThan(3.5 * own + 20_000)
})

test('whatever comes, every queued request gets exactly one answer by its deadline', () => {
  const step = fc.record({
    gapUs: fc.integer({ min: 1, max: 30_000 }),
    mib: fc.integer({ min: 1, max: 300 }),
    leftMs: fc.integer({ min: 1, max: 400 }),
  })
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 60 }), (steps) => {
      const story = new Story(paths(2)).prove(0).prove(1)
      const open = new Map<number, number>()
      const ends: { atUs: number; path: number; leaseId: number; bytes: number; startUs: number }[] = []
      const begin = (path: number, leaseId: number, bytes: number) => {
        ends.push({ atUs: story.nowUs + idealUs(bytes), path, leaseId, bytes, startUs: story.nowUs })
        ends.sort((a, b) => a.atUs - b.atUs)
      }
      const runUntil = (untilUs: number) => {
        for (;;) {
          const nextUs = Math.min(
            Math.max(story.policy.nextTickUs(), story.nowUs),
            ends[0]?.atUs ?? Number.POSITIVE_INFINITY,
          )
          if (nextUs > untilUs) break
          story.nowUs = nextUs
          while (ends[0] !== undefined && ends[0].atUs <= nextUs) {
            const done = ends.shift()!
            story.observe(done.path, { leaseId: done.leaseId, bytes: done.bytes, totalUs: nextUs - done.startUs })
            story.policy.release(done.leaseId, nextUs)
          }
          const { granted, abandoned } = story.tick()
          for (const { ticket, request, decision } of [...granted, ...abandoned]) {
            expect(story.nowUs).toBeLessThanOrEqual(open.get(ticket)!)
            expect(open.delete(ticket)).toBe(true)
            if (decision.verdict === 'admitted') begin(decision.path, decision.leaseId, request.bytes)
          }
        }
        story.nowUs = untilUs
      }
      for (const { gapUs, mib, leftMs } of steps) {
        runUntil(story.nowUs + gapUs)
        const deadlineUs = story.nowUs + leftMs * 1000
        const bytes = mib * MIB
        const decision = story.decide([0, 1], { mayQueue: true, bytes, deadlineUs })
        if (decision.verdict === 'queued') open.set(decision.ticket, deadlineUs)
        if (decision.verdict === 'admitted') begin(decision.path, decision.leaseId, bytes)
      }
      runUntil(story.nowUs + 2_000_000)
      expect([...open]).toEqual([])
      expect(story.policy.snapshot(0).activeSessions + story.policy.snapshot(1).activeSessions).toBe(0)
    }),
    { numRuns: 60 },
  )
})

function baseOf(story: Story) {
  return {
    requestId: null,
    workload: WORKLOADS.interactive,
    bytes: 100 * MIB,
    deadlineUs: story.nowUs + 1_000_000,
    candidates: [0],
    leaseUs: 1_000_000,
    attempt: 0,
    recomputeUs: null,
    seq: 1,
  }
}

test('on a link that shares fairly a small request overtakes one large transfer, and a second one waits', () => {
  const story = new Story(paths(1)).prove(0)
  const ask = (mib: number) =>
    story.decide([0], { bytes: mib * MIB, mayQueue: true, deadlineUs: story.nowUs + 10_000_000 }).verdict
  expect(ask(1000)).toBe('admitted')
  expect(ask(300)).toBe('queued')
  expect(ask(100)).toBe('admitted')
  expect(ask(10)).toBe('queued')
})

test('behind transfers that turn out to be served in order nothing overtakes', () => {
  const story = new Story(paths(1)).prove(0)
  const verdicts: string[] = []
  for (let i = 0; i < 4; i++) {
    const deadlineUs = story.nowUs + 10_000_000
    const large = story.decide([0], { bytes: 1000 * MIB, deadlineUs })
    const small = story.decide([0], { bytes: 100 * MIB, mayQueue: true, deadlineUs })
    verdicts.push(small.verdict)
    const beganUs = story.nowUs
    for (const [decision, mib] of [
      [large, 1000],
      [small, 100],
    ] as const) {
      if (decision.verdict !== 'admitted') continue
      story.nowUs += idealUs(mib * MIB) - 50
      story.observe(0, { leaseId: decision.leaseId, bytes: mib * MIB, totalUs: story.nowUs - beganUs + 50 })
      story.policy.release(decision.leaseId, story.nowUs)
    }
    if (small.ticket > 0) story.policy.withdraw(small.ticket, story.nowUs)
  }
  expect(verdicts[0]).toBe('admitted')
  expect(verdicts.at(-1)).toBe('queued')
})
