// Which of several admissible paths is chosen, and what the choice is called.

import { beforeEach, expect, test } from 'vitest'
import type { Policy } from '../../../src/policy/policy.js'
import { demandOf } from '../../../src/policy/reference/demand.js'
import { createReferencePolicy } from '../../../src/policy/reference/profile.js'
import { selectionPolicyOf, softLimit } from '../../../src/policy/reference/selection.js'
import { WORKLOADS } from '../../../src/policy/workload.js'
import { feed, path, repeat, request, workload } from './streams.js'

let policy: Policy

beforeEach(() => {
  policy = createReferencePolicy()
})

test('the soft limit of six sessions at 0.75 is four: 4.5 rounds to even', () => {
  expect(softLimit(6, 0.75)).toBe(4)
  expect(softLimit(2, 0.75)).toBe(2)
  expect(softLimit(1, 0.25)).toBe(1)
})

test('the workload picks the selection policy by its effective criticality', () => {
  const policyOf = (changes: object) => selectionPolicyOf(demandOf(workload(changes)))
  expect(policyOf({ criticality: 0.35 })).toBe('headroom_first')
  expect(policyOf({ criticality: 0.36 })).toBe('balanced')
  expect(policyOf({ criticality: 0.74 })).toBe('balanced')
  expect(policyOf({ criticality: 0.75 })).toBe('health_first')
  // Raised by the flags before the policy is picked.
  expect(policyOf({ criticality: 0, isReleasePath: true })).toBe('health_first')
  expect(policyOf({ criticality: 0, isPrefillDecodeStrict: true })).toBe('balanced')
})

test('equal paths are taken in registration order', () => {
  for (const id of ['a', 'b', 'c']) policy.addPath(path(id), 0)
  expect(policy.explain(request([0, 1, 2]), 0).path).toBe(0)
  expect(policy.explain(request([1, 2]), 0).path).toBe(1)
})

test('scores that agree to four decimals are equal', () => {
  for (const id of ['a', 'b']) policy.addPath(path(id), 0)
  // GFS 0.45 * ms/40: 0.01125 a millisecond, so 1 us is 0.00001.
  feed(policy, 0, repeat(10, [2.001]))
  feed(policy, 1, repeat(10, [2]))
  expect(policy.snapshot(0).gfs).toBeGreaterThan(policy.snapshot(1).gfs)
  expect(policy.explain(request([0, 1], { workload: WORKLOADS.release }), 0).path).toBe(0)
})

test('a soft-full path is passed over by balanced and the decision says so', () => {
  for (const id of ['a', 'b']) policy.addPath(path(id, { maxSessions: 4, softCapacityFraction: 0.5 }), 0)
  feed(policy, 1, [3])
  const onlyFirst = request([0])
  policy.decide(onlyFirst, 0)
  policy.decide(onlyFirst, 0)
  const { outcome, reason, chosen } = policy.explain(request([0, 1]), 0).detail()
  expect({ outcome, reason, chosen }).toEqual({
    outcome: 'rerouted_to_alternate',
    reason: 'balanced selected b over healthier a',
    chosen: 'b',
  })
})

test('a request without candidates is no_admissible_pool, not an error', () => {
  const decision = policy.decide(request([]), 0)
  expect(decision).toMatchObject({ verdict: 'rejected', outcome: 'no_admissible_pool', path: -1, leaseId: 0 })
  expect(decision.detail()).toMatchObject({ chosen: null, candidates: [] })
})

test('full and isolated paths are nobody’s alternate', () => {
  for (const id of ['a', 'full', 'isolated']) policy.addPath(path(id, { maxSessions: 1 }), 0)
  policy.decide(request([1]), 0)
  feed(policy, 2, repeat(4, [400]), 1)
  expect(policy.snapshot(2).state).toBe('quarantine_candidate')
  const alternates = policy
    .explain(request([0, 1, 2]), 0)
    .detail()
    .candidates.map((candidate) => candidate.availableAlternates)
  expect(alternates).toEqual([0, 1, 1])
})

test('paths outside the request are no alternates', () => {
  for (const id of ['a', 'b', 'c']) policy.addPath(path(id), 0)
  expect(policy.explain(request([0, 2]), 0).detail().candidates[0]?.availableAlternates).toBe(1)
})
