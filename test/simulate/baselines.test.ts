// A baseline that does not do what its name says would flatter the profile it is compared with.

import { describe, expect, it } from 'vitest'
import type { Policy, SampleOutcome } from '../../src/policy/policy.js'
import { WORKLOADS } from '../../src/policy/workload.js'
import { BinaryHealth } from '../../src/simulate/baselines/binary-health.js'
import { DeadlineQueue } from '../../src/simulate/baselines/deadline-queue.js'
import { EnvoyOutlier } from '../../src/simulate/baselines/envoy-outlier.js'
import { LeastBytes } from '../../src/simulate/baselines/least-bytes.js'
import { LowestLatency } from '../../src/simulate/baselines/lowest-latency.js'
import { Oracle } from '../../src/simulate/baselines/oracle.js'
import { PeakEwma } from '../../src/simulate/baselines/peak-ewma.js'
import { Prequal } from '../../src/simulate/baselines/prequal.js'
import { RoundRobin } from '../../src/simulate/baselines/round-robin.js'
import { TentScore } from '../../src/simulate/baselines/tent-score.js'
import { pathDescriptions } from '../../src/simulate/scenario.js'

const S = 1_000_000

function over<T extends Policy>(policy: T, paths: number) {
  for (const description of pathDescriptions(1).slice(0, paths)) policy.addPath(description, 0)
  let seq = 0
  const decide = (nowUs = 0, bytes = 1e6, deadlineUs: number | null = null) =>
    policy.decide(
      {
        requestId: null,
        workload: WORKLOADS.batch,
        bytes,
        deadlineUs,
        candidates: Array.from({ length: paths }, (_, path) => path),
        leaseUs: 1e9,
        attempt: 0,
        recomputeUs: null,
        mayQueue: true,
        seq: seq++,
      },
      nowUs,
    )
  const settle = (path: number, outcome: SampleOutcome, nowUs: number, totalUs = 1000, leaseId = 0) => {
    const sample = { path, leaseId, outcome, totalUs, bytes: 1e6, dropFraction: 0, source: 'transfer' as const }
    return policy.observe({ ...sample, selfDelayed: false }, nowUs)
  }
  return { policy, decide, settle, state: (path: number) => policy.snapshot(path).state }
}

it('round robin takes every path in turn', () => {
  const { decide } = over(new RoundRobin(), 3)
  expect(Array.from({ length: 7 }, () => decide().path)).toEqual([0, 1, 2, 0, 1, 2, 0])
})

it('least bytes takes the emptiest path, and counts bytes back on release once', () => {
  const { decide, policy } = over(new LeastBytes(), 2)
  const large = decide(0, 100)
  expect(decide(0, 10).path).toBe(1)
  expect(decide(0, 10).path).toBe(1)
  expect(policy.release(large.leaseId, 0)).toBe(true)
  expect(policy.release(large.leaseId, 0)).toBe(false)
  expect(decide(0, 10).path).toBe(0)
})

it('lowest latency herds onto the path that was fastest, and does not take failing for fast', () => {
  const { decide, settle } = over(new LowestLatency(), 2)
  settle(0, 'ok', 1, 5000)
  settle(1, 'transport', 1, 10)
  expect([decide().path, decide().path, decide().path]).toEqual([0, 0, 0])
})

it('a full path is no candidate, and with all of them full the request is rejected', () => {
  const { decide } = over(new RoundRobin(), 1)
  for (let i = 0; i < 64; i++) expect(decide().verdict).toBe('admitted')
  expect(decide()).toMatchObject({ verdict: 'rejected', path: -1, leaseId: 0 })
})

describe('binary health', () => {
  it('takes a path down at the third failure in a row, and trusts it again after 10 s', () => {
    const { decide, settle, state } = over(new BinaryHealth(), 2)
    settle(0, 'transport', 1)
    settle(0, 'transport', 2)
    expect(state(0)).toBe('healthy')
    expect(settle(0, 'transport', 3)).toMatchObject([{ from: 'healthy', to: 'quarantined' }])
    expect([decide(4).path, decide(5).path]).toEqual([1, 1])
    expect(decide(10 * S + 4).path).toBe(0)
  })

  it('forgets failures at the first success, and uses all when all are down', () => {
    const { decide, settle, state } = over(new BinaryHealth(), 1)
    for (const outcome of ['transport', 'timeout', 'ok', 'transport', 'corrupt'] as const) settle(0, outcome, 1)
    expect(state(0)).toBe('healthy')
    settle(0, 'transport', 1)
    expect(state(0)).toBe('quarantined')
    expect(decide(2).path).toBe(0)
  })
})

it('a failure that is not the path’s is not held against it', () => {
  const { settle, state } = over(new BinaryHealth(), 1)
  for (const outcome of ['remote_busy', 'local', 'cancelled', 'expired'] as const) settle(0, outcome, 1)
  expect(state(0)).toBe('healthy')
})

it('peak EWMA avoids the path whose latency has just jumped', () => {
  const { decide, settle, policy } = over(new PeakEwma(1), 2)
  settle(0, 'ok', 1, 100_000)
  settle(1, 'ok', 1, 1000)
  const paths = Array.from({ length: 20 }, () => {
    const { path, leaseId } = decide(2)
    policy.release(leaseId, 2)
    return path
  })
  expect(new Set(paths)).toEqual(new Set([1]))
})

it('prequal prefers the faster of the paths drawn, and leaves one that is hot', () => {
  const { decide, settle, policy } = over(new Prequal(1), 2)
  settle(0, 'ok', 1, 100_000)
  settle(1, 'ok', 1, 1000)
  const paths = Array.from({ length: 30 }, () => {
    const { path, leaseId } = decide(2)
    policy.release(leaseId, 2)
    return path
  })
  expect(paths.filter((path) => path === 1).length).toBeGreaterThan(20)
  const held = Array.from({ length: 30 }, () => decide(2).path)
  expect(held.filter((path) => path === 0).length).toBeGreaterThan(8)
})

it('envoy ejects after five failures for 30 s, and never more than half of the paths', () => {
  const { settle, state } = over(new EnvoyOutlier(1), 4)
  for (const path of [0, 1, 2]) for (let i = 0; i < 5; i++) settle(path, 'transport', i)
  expect([0, 1, 2].map(state)).toEqual(['quarantined', 'quarantined', 'healthy'])
  settle(3, 'ok', 30 * S + 5)
  expect(state(0)).toBe('healthy')
})

describe('tent score', () => {
  it('weighs bytes in flight by measured bandwidth', () => {
    const { decide, settle } = over(new TentScore(), 2)
    const first = decide()
    const second = decide()
    expect([first.path, second.path]).toEqual([0, 1])
    settle(0, 'ok', 1, 100, first.leaseId)
    settle(1, 'ok', 1, 10_000, second.leaseId)
    expect([decide(1).path, decide(1).path, decide(1).path]).toEqual([0, 0, 0])
  })

  it('pauses a path for 30 s after three errors, twice as long after more', () => {
    const { decide, settle, state } = over(new TentScore(), 2)
    for (let i = 0; i < 3; i++) settle(0, 'transport', i)
    expect(state(0)).toBe('quarantined')
    decide(31 * S)
    expect(state(0)).toBe('healthy')
    for (let i = 0; i < 3; i++) settle(0, 'transport', 32 * S + i)
    decide(91 * S)
    expect(state(0)).toBe('quarantined')
  })
})

describe('deadline queue', () => {
  it('keeps one transfer on a path and grants the earliest deadline first', () => {
    const { decide, policy } = over(new DeadlineQueue(), 1)
    const first = decide(0, 1e6, S)
    const late = decide(0, 1e6, 3 * S)
    const early = decide(0, 1e6, 2 * S)
    expect([first.verdict, late.verdict, early.verdict]).toEqual(['admitted', 'queued', 'queued'])
    expect(policy.tick(10).granted).toEqual([])
    policy.release(first.leaseId, 20)
    expect(policy.tick(20).granted.map(({ ticket }) => ticket)).toEqual([early.ticket])
    expect(policy.tick(20).granted).toEqual([])
  })

  it('gives up what an idle path could no longer serve in time, and not before', () => {
    const { decide, policy } = over(new DeadlineQueue(), 1)
    decide(0, 1e6, S)
    const { ticket } = decide(0, 12_500_000, S)
    // 12.5 MB take 1 ms and the start 200 us.
    expect(policy.nextTickUs()).toBe(S - 1200 + 1)
    expect(policy.tick(S - 1200).abandoned).toEqual([])
    expect(policy.tick(S - 1199).abandoned.map((answer) => answer.ticket)).toEqual([ticket])
    expect(policy.nextTickUs()).toBe(Number.POSITIVE_INFINITY)
  })
})

it('the oracle leaves a path that refuses, and loads a slow one by its true rate', () => {
  const always = { fromUs: 0, toUs: 1e9 }
  const { decide } = over(
    new Oracle([
      { kind: 'blackhole', paths: [0], ...always },
      { kind: 'slow50', paths: [1], ...always },
    ]),
    3,
  )
  expect(Array.from({ length: 6 }, () => decide().path)).toEqual([2, 1, 2, 2, 1, 2])
})
