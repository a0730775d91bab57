// Decisions as records: frozen when made, repeatable, free of outside influence, and linear in their candidates.

import { readdirSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { afterEach, expect, test, vi } from 'vitest'
import type { Policy } from '../../../src/policy/policy.js'
import { createReferencePolicy } from '../../../src/policy/reference/profile.js'
import { WORKLOADS } from '../../../src/policy/workload.js'
import { feed, path, randomSource, repeat, request, sample, workload } from './streams.js'

afterEach(() => {
  vi.restoreAllMocks()
})

test('what happens after a decision does not change its detail', () => {
  const policy = createReferencePolicy()
  for (const id of ['a', 'b', 'c']) policy.addPath(path(id), 0)
  feed(policy, 0, repeat(5, [4, 16.5]))
  feed(policy, 1, repeat(5, [2, 2.2]))
  const mutableWorkload = { ...WORKLOADS.interactive }
  const candidates = [0, 1, 2]
  const asked = request(candidates, { workload: mutableWorkload })
  const told = structuredClone(policy.explain(asked, 0).detail())

  const decision = policy.decide(asked, 0)
  for (let i = 0; i < 5; i++) policy.decide(request([0, 1, 2]), 0)
  for (const index of [0, 1, 2]) feed(policy, index, repeat(20, [90]), 1)
  policy.tick(1e12)
  candidates.length = 0
  Object.assign(mutableWorkload, { criticality: 0, latencySlaMs: 1, isPrefillDecodeStrict: false })

  expect(decision.detail()).toEqual(told)
  expect(decision.detail()).toBe(decision.detail())
})

test('a candidate’s record carries its figures from before the session was taken', () => {
  const policy = createReferencePolicy()
  policy.addPath(path('a', { maxSessions: 4 }), 0)
  policy.addPath(path('b', { maxSessions: 4 }), 0)
  feed(policy, 0, [20])
  const decision = policy.decide(request([0, 1], { workload: workload({ criticality: 0.2 }) }), 0)
  expect(decision).toMatchObject({ verdict: 'admitted', outcome: 'rerouted_to_alternate', path: 0 })
  expect(decision.detail()).toEqual({
    outcome: 'rerouted_to_alternate',
    reason: 'headroom_first selected a over healthier b',
    selectionPolicy: 'headroom_first',
    chosen: 'a',
    candidates: [
      {
        path: 'a',
        pool: 'pool-of-a',
        state: 'degraded_usable',
        admissible: true,
        outcome: 'admitted_despite_degradation',
        reason: 'degraded_usable remains admissible for workload criticality 0.20',
        gfs: 0.225,
        // 1/2 * 0.2 * 0.25 * 0.2
        prs: 0.005,
        fae: 0,
        p99Ms: 20,
        jitterMs: 0,
        dropFraction: 0,
        activeSessions: 0,
        maxSessions: 4,
        availableAlternates: 1,
        rank: [0, 0, 0, 0.2, 0.225, -4],
        chosen: true,
        failed: [],
        model: null,
      },
      {
        path: 'b',
        pool: 'pool-of-b',
        state: 'healthy',
        admissible: true,
        outcome: 'admitted',
        reason: 'healthy path',
        gfs: 0,
        prs: 0,
        fae: 0,
        p99Ms: 0,
        jitterMs: 0,
        dropFraction: 0,
        activeSessions: 0,
        maxSessions: 4,
        availableAlternates: 1,
        rank: [1, 0, 0, 0, 0, -4],
        chosen: false,
        failed: [],
        model: null,
      },
    ],
    flips: [],
    panic: false,
    pressure: null,
  })
  expect(policy.snapshot(0).activeSessions).toBe(1)
})

/** Everything a seeded stream of samples, decisions, releases and ticks makes the policy say, as JSON lines. */
function replay(seed: number): string {
  const random = randomSource(seed)
  const policy = createReferencePolicy()
  const said: unknown[] = []
  const leases: number[] = []
  for (let i = 0; i < 6; i++) policy.addPath(path(`p${i}`, { maxSessions: 3 }), 0)
  for (let nowUs = 0; nowUs < 2000; nowUs++) {
    const act = random()
    if (act < 0.6) {
      const latencyMs = random() < 0.2 ? 10 + 60 * random() : 1 + 3 * random()
      const drop = random() < 0.1 ? random() : 0
      said.push(policy.observe(sample(Math.floor(random() * 6), latencyMs, { dropFraction: drop }), nowUs))
    } else if (act < 0.9) {
      const asked = Object.values(WORKLOADS)[Math.floor(random() * 3)]!
      const decision = policy.decide(request([0, 1, 2, 3, 4, 5], { workload: asked, leaseUs: 30 }), nowUs)
      leases.push(decision.leaseId)
      said.push(decision, decision.detail())
    } else {
      said.push(policy.release(leases[Math.floor(random() * leases.length)] ?? 0, nowUs), policy.tick(nowUs))
    }
  }
  for (let i = 0; i < 6; i++) said.push(policy.snapshot(i))
  return said.map((each) => JSON.stringify(each)).join('\n')
}

test('the same stream gives the same records, byte for byte, without clock or chance', () => {
  const forbidden = () => {
    throw new Error('a policy has no clock and no chance')
  }
  vi.spyOn(Date, 'now').mockImplementation(forbidden)
  vi.spyOn(performance, 'now').mockImplementation(forbidden)
  vi.spyOn(Math, 'random').mockImplementation(forbidden)
  const first = replay(7)
  const second = replay(7)
  const other = replay(8)
  vi.restoreAllMocks()
  expect(second).toBe(first)
  expect(other).not.toBe(first)
  // The stream is worth comparing: it reaches refusals, degradations and reroutes.
  for (const word of ['no_admissible_pool', 'rerouted_to_alternate', 'quarantine_candidate', 'rejected_capacity']) {
    expect(first).toContain(word)
  }
})

test('the profile imports nothing from outside the policy folder but the error type', () => {
  const folder = resolve(import.meta.dirname, '../../../src/policy/reference')
  const outside = readdirSync(folder)
    .flatMap((file) => [...readFileSync(resolve(folder, file), 'utf8').matchAll(/from '([^']+)'/g)])
    .map((match) => match[1]!)
    .filter((name) => !/^(\.\/|\.\.\/)[\w-]+\.js$/.test(name) && name !== '../../errors.js')
  expect(outside).toEqual([])
})

/** Best of several runs, nanoseconds a candidate. */
function costPerCandidate(candidates: number): number {
  const policy: Policy = createReferencePolicy()
  for (let i = 0; i < candidates; i++) {
    policy.addPath(path(`p${i}`, { maxSessions: 1000 }), 0)
    feed(policy, i, repeat(2, i % 5 === 3 ? [4, 16.5] : [2, 2.1]))
  }
  const asked = request(
    Array.from({ length: candidates }, (_, i) => i),
    { workload: WORKLOADS.batch },
  )
  const decisions = Math.ceil(40_000 / candidates)
  let best = Number.POSITIVE_INFINITY
  for (let run = 0; run < 8; run++) {
    const start = performance.now()
    for (let i = 0; i < decisions; i++) policy.release(policy.decide(asked, i).leaseId, i)
    best = Math.min(best, (performance.now() - start) / decisions / candidates)
  }
  return best * 1e6
}

test('a candidate costs no more among 512 than among 8', () => {
  const few = costPerCandidate(8)
  const many = costPerCandidate(512)
  // Measured about half; a quadratic decision would be 64 times.
  expect(many).toBeLessThan(6 * few)
})
