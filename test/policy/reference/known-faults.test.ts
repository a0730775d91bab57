// Faults of the published rules that this profile keeps on purpose (docs/reference-profile.md): each is shown here, so
// that nobody repairs one by accident and parity with it.

import { beforeEach, expect, test } from 'vitest'
import type { Policy } from '../../../src/policy/policy.js'
import { demandOf } from '../../../src/policy/reference/demand.js'
import { failureAmplification } from '../../../src/policy/reference/failure-amplification.js'
import { SEVERITY } from '../../../src/policy/reference/path-state.js'
import { createReferencePolicy } from '../../../src/policy/reference/profile.js'
import { propagationRisk } from '../../../src/policy/reference/propagation-risk.js'
import { PUBLISHED_THRESHOLDS } from '../../../src/policy/reference/thresholds.js'
import { WORKLOADS } from '../../../src/policy/workload.js'
import { feed, path, repeat, request, sample, workload } from './streams.js'

let policy: Policy

beforeEach(() => {
  policy = createReferencePolicy()
  policy.addPath(path('a'), 0)
  policy.addPath(path('b'), 0)
})

test('size is not looked at: a path is as bad for 500 MB in 60 ms as for 5 kB in 60 ms', () => {
  for (let i = 0; i < 10; i++) {
    policy.observe(sample(0, 60, { bytes: 500_000_000 }), 0)
    policy.observe(sample(1, 60, { bytes: 5_000 }), 0)
  }
  expect(policy.snapshot(0).gfs).toBe(policy.snapshot(1).gfs)
  expect(policy.snapshot(0).gfs).toBeCloseTo(0.45, 12)
  expect(policy.snapshot(0).state).toBe('degraded_restricted')
})

test('fast failure looks fine: a path that refuses everything in 1 ms stays usable and gets the tolerant work', () => {
  for (let i = 0; i < 50; i++) policy.observe(sample(0, 1, { outcome: 'transport', dropFraction: 1 }), 0)
  feed(policy, 1, repeat(5, [2, 2.1]))
  expect(policy.snapshot(0).state).toBe('degraded_usable')
  const chosen = Array.from({ length: 6 }, () => policy.decide(request([0, 1], { workload: WORKLOADS.batch }), 0).path)
  expect(chosen).toEqual([0, 0, 0, 0, 0, 0])
})

test('a path without a single sample is healthy and may carry a release', () => {
  feed(policy, 0, repeat(5, [2, 2.1]))
  expect(policy.explain(request([0, 1], { workload: WORKLOADS.release }), 0).detail().chosen).toBe('b')
})

test('samples never age: an hour later the path is judged by the same window', () => {
  feed(policy, 0, repeat(5, [4, 16.5]))
  const before = policy.snapshot(0)
  policy.tick(3_600_000_000)
  expect(policy.snapshot(0)).toEqual(before)
})

test('quarantine is reached by nothing: the worst path is a candidate for ever', () => {
  for (let i = 0; i < 200; i++) policy.observe(sample(0, 5000, { outcome: 'timeout', dropFraction: 1 }), 0)
  expect(policy.snapshot(0).state).toBe('quarantine_candidate')
})

test('the PRS limit cannot be passed by a path that reaches it', () => {
  // Checked after the isolated states are refused, so the greatest severity left is degraded_restricted's.
  const greatest = propagationRisk(SEVERITY.degraded_restricted, 1, 8, 8, 0)
  expect(greatest).toBe(0.55)
})

test('the FAE jumps from 0 to its greatest values at a score of 0.01 and falls as the path gets worse', () => {
  const demand = demandOf(WORKLOADS.release)
  const fae = (gfs: number) => failureAmplification(gfs, demand, 8, 8, 0, PUBLISHED_THRESHOLDS)
  expect(fae(0.0099)).toBe(0)
  expect(fae(0.01)).toBe(10)
  expect(fae(0.8)).toBe(1.25)
})

test('jitter binds in full below a tolerance of 0.4 and not at all from there', () => {
  feed(policy, 0, repeat(5, [4, 16.5]))
  const outcome = (jitterTolerance: number) =>
    policy.explain(request([0], { workload: workload({ jitterTolerance }) }), 0).detail().candidates[0]?.outcome
  expect(outcome(0.39)).toBe('rejected_jitter_intolerance')
  expect(outcome(0.4)).toBe('admitted_despite_degradation')
})
