// What enters a path's window, what never does, and what is refused before anything changes.

import { beforeEach, describe, expect, test } from 'vitest'
import { SeamError } from '../../../src/errors.js'
import type { Policy, Sample, SampleOutcome } from '../../../src/policy/policy.js'
import { createReferencePolicy } from '../../../src/policy/reference/profile.js'
import { feed, path, repeat, request, sample, workload } from './streams.js'

let policy: Policy

beforeEach(() => {
  policy = createReferencePolicy()
  policy.addPath(path('a'), 0)
})

test.each<SampleOutcome>(['ok', 'timeout', 'transport', 'corrupt'])(
  'a sample that ended %s enters the window',
  (outcome) => {
    policy.observe(sample(0, 12.5, { outcome, dropFraction: 0.5 }), 0)
    expect(policy.snapshot(0)).toMatchObject({ samples: 1, p99Ms: 12.5, dropFraction: 0.5 })
  },
)

test.each<SampleOutcome>(['remote_busy', 'local', 'cancelled'])(
  'a sample that ended %s is not the path’s doing',
  (outcome) => {
    const before = policy.snapshot(0)
    expect(policy.observe(sample(0, 5000, { outcome, dropFraction: 1 }), 0)).toEqual([])
    expect(policy.snapshot(0)).toEqual(before)
  },
)

test('a sample measured while this process was stalled never hurts the path', () => {
  const before = policy.snapshot(0)
  for (const outcome of ['ok', 'timeout'] as const) policy.observe(sample(0, 5000, { outcome, selfDelayed: true }), 0)
  expect(policy.snapshot(0)).toEqual(before)
})

test('a probe counts like a transfer', () => {
  policy.observe(sample(0, 12.5, { source: 'probe' }), 0)
  expect(policy.snapshot(0).samples).toBe(1)
})

describe('refused with KVSEAM_INVALID_ARGUMENT, state unchanged', () => {
  const bad: [string, Partial<Sample>][] = [
    ['NaN latency', { totalUs: Number.NaN }],
    ['negative latency', { totalUs: -1 }],
    ['infinite latency', { totalUs: Number.POSITIVE_INFINITY }],
    ['NaN drop', { dropFraction: Number.NaN }],
    ['drop below 0', { dropFraction: -0.01 }],
    ['drop above 1', { dropFraction: 1.01 }],
    ['unknown path', { path: 7 }],
    ['fractional path', { path: 0.5 }],
    ['unknown outcome', { outcome: 'slow' as SampleOutcome }],
  ]
  test.each(bad)('%s', (_, changes) => {
    feed(policy, 0, repeat(3, [4, 16.5]))
    const before = policy.snapshot(0)
    expect(() => policy.observe(sample(0, 4, changes), 0)).toThrow(SeamError)
    expect(() => policy.observe(sample(0, 4, changes), 0)).toThrow(
      expect.objectContaining({ code: 'KVSEAM_INVALID_ARGUMENT' }),
    )
    expect(policy.snapshot(0)).toEqual(before)
  })

  test.each<[string, object]>([
    ['a candidate that was never added', { candidates: [0, 9] }],
    ['candidates out of registration order', { candidates: [1, 0] }],
    ['the same candidate twice', { candidates: [0, 0] }],
    ['a lease of no length', { leaseUs: 0 }],
    ['a lease that is not a number', { leaseUs: Number.NaN }],
    ['NaN criticality', { workload: workload({ criticality: Number.NaN }) }],
    ['criticality above 1', { workload: workload({ criticality: 1.1 }) }],
    ['NaN latency SLA', { workload: workload({ latencySlaMs: Number.NaN }) }],
    ['jitter tolerance below 0', { workload: workload({ jitterTolerance: -0.1 }) }],
  ])('a request with %s', (_, changes) => {
    policy.addPath(path('b'), 0)
    expect(() => policy.decide(request([0, 1], changes), 0)).toThrow(
      expect.objectContaining({ code: 'KVSEAM_INVALID_ARGUMENT' }),
    )
    expect(policy.snapshot(0).activeSessions + policy.snapshot(1).activeSessions).toBe(0)
  })

  test.each([
    ['a repeated id', path('a')],
    ['an empty id', path('')],
    ['a negative capacity', path('b', { maxSessions: -1 })],
    ['a fractional capacity', path('b', { maxSessions: 2.5 })],
    ['a soft fraction above 1', path('b', { softCapacityFraction: 1.5 })],
  ])('a path with %s', (_, description) => {
    expect(() => policy.addPath(description, 0)).toThrow(expect.objectContaining({ code: 'KVSEAM_INVALID_ARGUMENT' }))
    expect(policy.addPath(path('next'), 0)).toBe(1)
  })
})

test.each<[string, object]>([
  ['an unknown name', { latencyQuarantineMillis: 40 }],
  ['a window longer than the history', { candidateWindow: 61 }],
  ['no window', { candidateWindow: 0 }],
  ['a NaN', { latencyQuarantineMs: Number.NaN }],
])('thresholds with %s are refused with KVSEAM_CONFIG_INVALID', (_, thresholds) => {
  expect(() => createReferencePolicy({ thresholds })).toThrow(
    expect.objectContaining({ code: 'KVSEAM_CONFIG_INVALID' }),
  )
})

test('the window holds the last ten samples: the eleventh pushes the first out', () => {
  feed(policy, 0, [1000, ...repeat(9, [2])])
  expect(policy.snapshot(0).p99Ms).toBeGreaterThan(900)
  feed(policy, 0, [2])
  expect(policy.snapshot(0)).toMatchObject({ p99Ms: 2, jitterMs: 0, samples: 10 })
})

test('capacity 0 and soft fraction 0 mean the defaults, 8 and 0.75', () => {
  policy.addPath(path('unstated', { maxSessions: 0, softCapacityFraction: 0 }), 0)
  expect(policy.snapshot(1).maxSessions).toBe(8)
  // Soft limit 6: with six sessions the path ranks behind an idle one that is otherwise equal.
  const alone = request([1], { workload: workload({ criticality: 0.5 }) })
  for (let i = 0; i < 6; i++) policy.decide(alone, 0)
  expect(policy.explain(alone, 0).detail().candidates[0]?.rank?.[0]).toBe(1)
})
