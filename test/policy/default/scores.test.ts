// GFS, PRS and FAE: finite, in range, monotone in every metric, and each changes a decision somewhere.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { MOST_SLOWDOWN, ONE } from '../../../src/policy/default/fixed-point.js'
import {
  failureAmplification,
  type GrayFailureInput,
  grayFailureScore,
  propagationRisk,
} from '../../../src/policy/default/scores.js'
import { WORKLOADS } from '../../../src/policy/workload.js'
import { MIB, paths, Story } from './streams.js'

const slowdown = fc.integer({ min: 0, max: MOST_SLOWDOWN })
const input: fc.Arbitrary<GrayFailureInput> = fc
  .record({
    quantiles: fc.tuple(slowdown, slowdown),
    common: fc.integer({ min: ONE, max: 4 * ONE }),
    ok: fc.nat({ max: 1000 }),
    failed: fc.nat({ max: 1000 }),
    stalled: slowdown,
  })
  .map(({ quantiles, ...rest }) => {
    const [s50, s99] = quantiles.toSorted((a, b) => a - b) as [number, number]
    return { ...rest, s50, s99, tail: true }
  })

test('the gray failure score lies in 0..1 for any input, also without a sample', () => {
  fc.assert(
    fc.property(input, (each) => {
      const gfs = grayFailureScore(each)
      expect(gfs).toBeGreaterThanOrEqual(0)
      expect(gfs).toBeLessThanOrEqual(1)
    }),
  )
  const none = { s50: 0, s99: 0, common: ONE, ok: 0, failed: 0, stalled: 0, tail: true }
  expect(grayFailureScore(none)).toBe(0)
})

test('total loss alone is certain failure, and so is eight times idle speed lost at the median', () => {
  const none = { s50: ONE, s99: ONE, common: ONE, ok: 0, failed: 0, stalled: 0, tail: true }
  expect(grayFailureScore({ ...none, failed: 5 })).toBe(1)
  expect(grayFailureScore({ ...none, s50: 8 * ONE, s99: 8 * ONE })).toBeGreaterThan(0.9)
})

test('worsening any one metric never lowers the gray failure score', () => {
  fc.assert(
    fc.property(
      input,
      fc.constantFrom('s50', 's99', 'failed', 'stalled'),
      fc.nat({ max: 5000 }),
      (each, metric, by) => {
        const worse = { ...each, [metric]: Math.min(MOST_SLOWDOWN, each[metric] + by) }
        // A stall is measured against the 99th percentile: with a worse tail the same stall is less surprising.
        if (metric === 's99' && each.stalled > 0) return
        expect(grayFailureScore(worse)).toBeGreaterThanOrEqual(grayFailureScore(each) - 0.0001)
      },
    ),
  )
})

test('PRS and FAE are finite and grow with score, criticality and load, and shrink with room elsewhere', () => {
  const unit = fc.double({ min: 0, max: 1, noNaN: true })
  const rate = fc.double({ min: 0, max: 1e12, noNaN: true })
  fc.assert(
    fc.property(
      unit,
      unit,
      unit,
      unit,
      rate,
      rate,
      fc.double({ min: 0, max: 64, noNaN: true }),
      (gfs, more, crit, util, demand, spare, alternates) => {
        const prs = propagationRisk(alternates, crit, util, 'degraded_usable', gfs)
        const fae = failureAmplification(gfs, crit, demand, spare)
        expect(prs).toBeGreaterThanOrEqual(0)
        expect(prs).toBeLessThanOrEqual(1)
        expect(Number.isFinite(fae)).toBe(true)
        const worse = Math.min(1, gfs + more)
        expect(propagationRisk(alternates, crit, util, 'degraded_usable', worse)).toBeGreaterThanOrEqual(prs)
        expect(propagationRisk(alternates + 1, crit, util, 'degraded_usable', gfs)).toBeLessThanOrEqual(prs)
        expect(failureAmplification(worse, crit, demand, spare)).toBeGreaterThanOrEqual(fae)
        expect(failureAmplification(gfs, crit, demand, spare * 2 + 1)).toBeLessThanOrEqual(fae)
      },
    ),
  )
})

function slowAndBusy(ablate: readonly ('fae' | 'prs' | 'prediction')[]): Story {
  const story = new Story(paths(2, { maxSessions: 200 }), { ablate })
  story.prove(0).prove(1)
  story.pass(4000, () => story.observe(0, { totalUs: 150_000 }))
  return story
}

test('FAE makes a degraded path whose load the others could not take less welcome to tolerant work', () => {
  const levels: number[] = []
  for (const on of [true, false]) {
    const story = slowAndBusy(on ? [] : ['fae'])
    for (let i = 0; i < 70; i++) {
      for (const index of [0, 1]) story.decide([index], { bytes: 1024 * MIB, deadlineUs: story.nowUs + 600_000_000 })
    }
    story.pass(250)
    const decision = story.decide([0, 1], { workload: WORKLOADS.batch, deadlineUs: story.nowUs + 600_000_000 })
    const [degraded] = decision.detail().candidates
    expect(degraded!.fae).toBeGreaterThan(2)
    expect(degraded!.admissible).toBe(true)
    levels.push(degraded!.model!.level)
  }
  expect(levels[0]).toBe(levels[1]! + 1)
})

test('FAE does not forbid the only path there is', () => {
  const story = slowAndBusy([])
  for (let i = 0; i < 50; i++) story.decide([0], { deadlineUs: story.nowUs + 60_000_000 })
  story.pass(250)
  const batch = { workload: WORKLOADS.batch, deadlineUs: story.nowUs + 60_000_000 }
  expect(story.decide([0], batch).verdict).toBe('admitted')
})

test('PRS makes a degraded path that nobody could replace less welcome, and isolate forbids it', () => {
  const level = (ablate: readonly 'prs'[]) => {
    const story = slowAndBusy(ablate)
    for (let i = 0; i < 100; i++)
      story.decide([0], { workload: WORKLOADS.interactive, deadlineUs: story.nowUs + 60_000_000 })
    story.pass(250)
    const { candidates } = story
      .decide([0], { workload: WORKLOADS.release, deadlineUs: story.nowUs + 60_000_000 })
      .detail()
    expect(candidates[0]!.prs).toBeGreaterThan(0.45)
    return candidates[0]!.model!.level
  }
  expect(level([])).toBe(level(['prs']) + 1)
})
