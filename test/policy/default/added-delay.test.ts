// A delay that every transfer meets is told from a slowdown, by one estimate alone and by the whole policy.

import { describe, expect, it } from 'vitest'
import { AddedDelay } from '../../../src/policy/default/added-delay.js'
import { ONE } from '../../../src/policy/default/fixed-point.js'
import { WORKLOADS } from '../../../src/policy/workload.js'
import { FIXED_US, idealUs, MIB, path, paths, Story } from './streams.js'

const NOISE_US = 2000
const IDEAL_US = [500, 40_000, 6000, 120_000, 1500, 15_000, 300, 70_000, 9000]

/** What is made of transfers of nine sizes, held against the median slowdown they show. */
function fitted(timeOf: (ideal: number) => number): AddedDelay {
  const added = new AddedDelay()
  const slowdowns = IDEAL_US.map((ideal) => timeOf(ideal) / ideal).sort((a, b) => a - b)
  for (const ideal of IDEAL_US) added.add(timeOf(ideal), ideal, Math.round(slowdowns[4]! * ONE), NOISE_US, 0)
  return added
}

describe('AddedDelay', () => {
  it('finds a delay that all sizes share', () => {
    const { delayUs, slowdown, spreadUs } = fitted((ideal) => 250_000 + ideal)
    expect(delayUs).toBe(250_000)
    expect(slowdown).toBe(ONE)
    expect(spreadUs).toBe(0)
  })

  it('finds a slowdown beside it', () => {
    const { delayUs, slowdown } = fitted((ideal) => 250_000 + 2 * ideal)
    expect(delayUs).toBeGreaterThan(250_000)
    expect(delayUs).toBeLessThan(260_000)
    expect(slowdown / ONE).toBeGreaterThan(1.8)
    expect(slowdown / ONE).toBeLessThan(2.1)
  })

  it.each([1.02, 2, 5, 20])('leaves a slowdown of %d to the slowdown', (factor) => {
    expect(fitted((ideal) => factor * ideal).delayUs).toBe(0)
  })

  it('takes no notice of noise', () => {
    expect(fitted((ideal) => ideal + NOISE_US).delayUs).toBe(0)
  })

  it('takes no notice of one late transfer, whatever its size', () => {
    for (const late of IDEAL_US) expect(fitted((ideal) => ideal + (ideal === late ? 400_000 : 0)).delayUs).toBe(0)
  })

  it('keeps the spread of a delay that varies', () => {
    const { delayUs, spreadUs } = fitted((ideal) => 200_000 + (ideal % 7) * 10_000 + ideal)
    expect(delayUs).toBeGreaterThanOrEqual(200_000)
    expect(delayUs + spreadUs).toBeGreaterThan(delayUs)
    expect(delayUs + spreadUs).toBeLessThan(270_000)
  })

  it('is over when most of the shorter transfers are in time again', () => {
    const added = fitted((ideal) => 250_000 + ideal)
    let needed = 0
    while (added.delayUs > 0 && needed < 9) added.add(IDEAL_US[needed]!, IDEAL_US[needed++]!, ONE, NOISE_US, 0)
    expect(needed).toBeLessThanOrEqual(6)
  })

  it('cannot tell transfers of one size apart, and then says nothing', () => {
    const added = new AddedDelay()
    for (let i = 0; i < 20; i++) added.add(i < 9 ? 10_000 : 150_000, 10_000, i < 13 ? ONE : 15 * ONE, NOISE_US, 0)
    expect(added.delayUs).toBe(0)
  })
})

/** 2 GB/s: half a millisecond a megabyte. */
const SLOW_RATE = { nominal: { fixedUs: FIXED_US, bytesPerSecond: 2_000_000_000 } }
const LATE_US = 250_000

function lateStory(changes: object = {}): Story {
  const story = new Story([path('a', SLOW_RATE), path('b', SLOW_RATE)], changes)
  for (const index of [0, 1]) {
    for (let i = 0; i < 12; i++) story.observe(index, { bytes: (1 + (i % 4)) * MIB, totalUs: 600 * (1 + (i % 4)) })
    story.pass(250)
  }
  story.pass(3000, () => {
    for (const mib of [1, 4, 2]) story.observe(0, { bytes: mib * MIB, totalUs: LATE_US + 530 * mib })
  })
  return story
}

const strict = (story: Story, index: number) =>
  story.decide([index], { bytes: MIB, deadlineUs: story.nowUs + 160_000, workload: WORKLOADS.interactive })

describe('a path that adds 250 ms to everything', () => {
  it('is refused to work that cannot wait so long, with the reason, and not to work that can', () => {
    const story = lateStory()
    const decision = strict(story, 0)
    expect(decision).toMatchObject({ verdict: 'rejected', outcome: 'rejected_deadline' })
    const [candidate] = decision.detail().candidates
    expect(candidate!.model!.delayUs).toBeGreaterThan(0.98 * LATE_US)
    expect(candidate!.model!.delayUs).toBeLessThan(1.02 * LATE_US)
    expect(candidate!.reason).toContain('at any size')
    const batch = story.decide([0], { bytes: MIB, deadlineUs: story.nowUs + 3_000_000, workload: WORKLOADS.batch })
    expect(batch.verdict).toBe('admitted')
  })

  it('was let in by a slowdown alone, which ends at 64', () => {
    expect(strict(lateStory({ ablate: ['added-delay'] }), 0).verdict).toBe('admitted')
  })

  it('does not count what waits behind its own traffic as delay', () => {
    const story = new Story(paths(1)).prove(0)
    // Ten at once, first in first out: the last takes ten times its own time.
    for (let round = 0; round < 6; round++) {
      const leases = [1, 9, 2, 8, 3, 7, 4, 6, 5, 5].map((tens) => {
        const bytes = tens * 20 * MIB
        return { bytes, leaseId: story.decide([0], { bytes, deadlineUs: story.nowUs + 9_000_000 }).leaseId }
      })
      const beganUs = story.nowUs
      for (const { bytes, leaseId } of leases) {
        story.nowUs += idealUs(bytes) - FIXED_US
        story.observe(0, { leaseId, bytes, totalUs: story.nowUs - beganUs + FIXED_US })
        story.policy.release(leaseId, story.nowUs)
      }
      story.pass(250)
    }
    expect(strict(story, 0).detail().candidates[0]!.model!.delayUs).toBe(0)
  })

  it('is never quarantined for it', () => {
    const story = lateStory()
    expect(story.state(0)).toBe('degraded_restricted')
    expect(story.transitions.some((each) => each.to.startsWith('quarantine'))).toBe(false)
  })

  it('is predicted as before once nobody has looked for staleMs', () => {
    const story = lateStory({ probesPerSecond: 0 })
    story.pass(61_000)
    expect(strict(story, 0).detail().candidates[0]!.model!.delayUs).toBe(0)
  })
})
