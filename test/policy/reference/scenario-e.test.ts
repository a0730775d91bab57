// The essay's Scenario E: one degraded path, six workloads, six different answers. The figures are ours to compute: the
// window alternates 4.0 and 16.5 ms, so p99 = 16.5, jitter = sqrt(10 * 6.25^2 / 9), GFS = .45*p99/40 + .30*jitter/16.

import { beforeEach, describe, expect, test } from 'vitest'
import type { Policy } from '../../../src/policy/policy.js'
import { createReferencePolicy } from '../../../src/policy/reference/profile.js'
import { WORKLOADS, type WorkloadProfile } from '../../../src/policy/workload.js'
import { sharedReferenceFile } from './shared-reference.js'
import { feed, path, repeat, request, workload } from './streams.js'

const DEGRADED = 0
const CLEAN = 1
const JITTER_MS = Math.sqrt((10 * 6.25 ** 2) / 9)

interface Row {
  readonly name: string
  readonly workload: WorkloadProfile
  readonly outcome: string
  readonly reason: string
  /** Chosen when a clean path is there too. */
  readonly chosen: 'degraded' | 'clean'
}

const ROWS: readonly Row[] = [
  {
    name: 'BATCH',
    workload: WORKLOADS.batch,
    outcome: 'admitted_despite_degradation',
    reason: 'degraded_usable remains admissible for workload criticality 0.20',
    chosen: 'degraded',
  },
  {
    name: 'INTERACTIVE',
    workload: WORKLOADS.interactive,
    outcome: 'rejected_jitter_intolerance',
    reason: 'jitter 6.6ms exceeds budget 3.5ms',
    chosen: 'clean',
  },
  {
    name: 'RELEASE',
    workload: WORKLOADS.release,
    outcome: 'rejected_latency_sla_violation',
    reason: 'p99=16.5ms exceeds SLA 15.0ms',
    chosen: 'clean',
  },
  {
    name: 'ASYNC-BATCH',
    workload: workload({ criticality: 0.3, latencySlaMs: 100, jitterTolerance: 0.9 }),
    outcome: 'admitted_despite_degradation',
    reason: 'degraded_usable remains admissible for workload criticality 0.30',
    chosen: 'degraded',
  },
  {
    name: 'STRICT-SYNC',
    workload: workload({ criticality: 0.6, latencySlaMs: 20, jitterTolerance: 0.2, isPrefillDecodeStrict: true }),
    outcome: 'rejected_jitter_intolerance',
    reason: 'jitter 6.6ms exceeds budget 4.0ms',
    chosen: 'clean',
  },
  {
    name: 'TOLERANT-MED',
    workload: workload({ criticality: 0.4, latencySlaMs: 50, jitterTolerance: 0.7 }),
    outcome: 'admitted_despite_degradation',
    reason: 'degraded_usable remains admissible for workload criticality 0.40',
    chosen: 'clean',
  },
]

let policy: Policy

beforeEach(() => {
  policy = createReferencePolicy()
  policy.addPath(path('degraded'), 0)
  policy.addPath(path('clean'), 0)
  feed(policy, DEGRADED, repeat(15, [4, 16.5]))
  feed(policy, CLEAN, repeat(15, [2, 2.2]))
})

test('thirty alternating samples settle the path in degraded_usable with the hand-computed figures', () => {
  const { state, gfs, p99Ms, jitterMs, samples } = policy.snapshot(DEGRADED)
  expect(state).toBe('degraded_usable')
  expect(p99Ms).toBe(16.5)
  expect(jitterMs).toBeCloseTo(JITTER_MS, 12)
  expect(gfs).toBeCloseTo((0.45 * 16.5) / 40 + (0.3 * JITTER_MS) / 16, 12)
  expect(gfs.toFixed(4)).toBe('0.3092')
  expect(samples).toBe(10)
  expect(policy.snapshot(CLEAN).state).toBe('healthy')
})

describe.each(ROWS)('$name', (row) => {
  test(`on the degraded path alone: ${row.outcome}`, () => {
    const decision = policy.explain(request([DEGRADED], { workload: row.workload }), 0)
    const [candidate] = decision.detail().candidates
    expect(candidate).toMatchObject({ outcome: row.outcome, reason: row.reason })
    expect(decision.verdict).toBe(row.outcome.startsWith('admitted') ? 'admitted' : 'rejected')
    expect(decision.outcome).toBe(
      decision.verdict === 'admitted' ? 'admitted_despite_degradation' : 'no_admissible_pool',
    )
  })

  test(`with a clean path beside it: goes to the ${row.chosen} one`, () => {
    const decision = policy.explain(request([DEGRADED, CLEAN], { workload: row.workload }), 0)
    expect(decision.detail().chosen).toBe(row.chosen)
  })
})

test('the six outcomes are those of the shared scenario-e.json', (context) => {
  const { text } = sharedReferenceFile('scenario-e.json', context)
  const published = JSON.parse(text) as { rows: { workload: string; admitted: boolean; outcome: string }[] }
  const answers = ROWS.map((row) => {
    const decision = policy.explain(request([DEGRADED], { workload: row.workload }), 0)
    return {
      workload: row.name,
      admitted: decision.verdict === 'admitted',
      outcome: decision.detail().candidates[0]?.outcome,
    }
  })
  expect(answers).toEqual(published.rows.map(({ workload, admitted, outcome }) => ({ workload, admitted, outcome })))
})
