// The path's state machine, step by step, through the profile.

import { beforeEach, expect, test } from 'vitest'
import type { Policy } from '../../../src/policy/policy.js'
import { isBadWindow, nextStep } from '../../../src/policy/reference/path-transition.js'
import { createReferencePolicy } from '../../../src/policy/reference/profile.js'
import { PUBLISHED_THRESHOLDS } from '../../../src/policy/reference/thresholds.js'
import { feed, path, sample } from './streams.js'

let policy: Policy

beforeEach(() => {
  policy = createReferencePolicy({ thresholds: { candidateWindow: 1 } })
  policy.addPath(path('a'), 0)
})

/** State after one sample of this latency and drop; a window of one makes the GFS 0.45 * ms/40 plus the drop's share. */
function after(latencyMs: number, dropFraction = 0): string {
  feed(policy, 0, [latencyMs], dropFraction)
  return policy.snapshot(0).state
}

test('the third severe sample in a row makes a quarantine candidate', () => {
  expect([after(60, 1), after(60, 1), after(60, 1)]).toEqual([
    'degraded_restricted',
    'degraded_restricted',
    'quarantine_candidate',
  ])
})

test('a high score restricts only when it persists', () => {
  expect([after(40), after(40), after(40)]).toEqual(['degraded_usable', 'degraded_usable', 'degraded_restricted'])
})

test('five clean samples restore a degraded path and eight make it healthy', () => {
  expect(after(20)).toBe('degraded_usable')
  const states = Array.from({ length: 8 }, () => after(1))
  expect(states).toEqual([...Array(4).fill('degraded_usable'), ...Array(3).fill('restored'), 'healthy'])
})

test('one clean sample takes a quarantine candidate back to restored', () => {
  for (let i = 0; i < 3; i++) after(60, 1)
  expect(policy.snapshot(0).state).toBe('quarantine_candidate')
  expect(after(1)).toBe('restored')
})

test('a bad sample clears the clean count, a clean one the bad count', () => {
  after(20)
  for (let i = 0; i < 4; i++) after(1)
  after(20)
  for (let i = 0; i < 4; i++) expect(after(1)).toBe('degraded_usable')
  expect(after(1)).toBe('restored')
})

test('observe returns the transition with the numbers that caused it, and none when the state stays', () => {
  expect(policy.observe(sample(0, 1), 0)).toEqual([])
  expect(policy.observe(sample(0, 20), 0)[0]).toEqual({
    path: 0,
    from: 'healthy',
    to: 'degraded_usable',
    cause: 'gfs_raised',
    figures: {
      gfs: 0.225,
      p99Ms: 20,
      jitterMs: 0,
      dropFraction: 0,
      samples: 1,
      badWindows: 1,
      cleanWindows: 0,
    },
  })
  expect(policy.observe(sample(0, 20), 0)).toEqual([])
})

test('scores on a limit belong to the milder side', () => {
  const next = (gfs: number) => nextStep('healthy', gfs, 9, 0, PUBLISHED_THRESHOLDS).state
  expect(isBadWindow(0.18)).toBe(false)
  expect(next(0.18)).toBe('healthy')
  expect(next(0.4)).toBe('degraded_usable')
  expect(next(0.65)).toBe('degraded_restricted')
  expect(nextStep('quarantine_candidate', 0.15, 0, 1, PUBLISHED_THRESHOLDS).state).toBe('quarantine_candidate')
  expect(nextStep('quarantined', 0.1499, 0, 1, PUBLISHED_THRESHOLDS).state).toBe('restored')
})
