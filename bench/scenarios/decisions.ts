// decide() of the reference profile by number of candidates, against what the published prototype takes for the same rules.

import type { Policy, PolicyRequest } from '../../src/policy/policy.js'
import { createReferencePolicy } from '../../src/policy/reference/profile.js'
import { WORKLOADS } from '../../src/policy/workload.js'
import { type Effort, type Figure, figure, type Scenario } from '../figure.js'
import { allocatedBytes } from '../heap.js'
import { interleaved } from '../rounds.js'
import { processCpuNs } from '../thread-cpu.js'

/**
 * Decisions a CPU-second of the published Python prototype (manishklach/seam-orchestrator), measured on a machine of the class
 * that docs/benchmarks.md names. It counts every candidate's alternates anew, so it is quadratic in them.
 */
const PROTOTYPE_PER_CPU_SECOND = { 2: 4_100, 8: 940, 64: 67, 512: 1.15 } as const
const TARGET_RATIO: Partial<Record<number, number>> = { 8: 100, 64: 1_000 }
const LEASE_US = 1_000_000

export const decisions: Scenario = {
  name: 'decisions',
  title: 'decide() of the reference profile by candidates, against the published prototype',
  async run(effort) {
    const sides = new Map(Object.keys(PROTOTYPE_PER_CPU_SECOND).map((key) => [Number(key), sideOf(Number(key))]))
    const rates = await interleaved(
      Object.fromEntries([...sides].map(([count, side]) => [String(count), () => perCpuSecond(side, effort)])),
      effort.rounds,
    )
    return [...sides].flatMap(([count, side]) => figuresOf(count, side, rates[String(count)]!, effort))
  },
}

interface Side {
  readonly policy: Policy
  readonly request: PolicyRequest
  nowUs: number
}

/** Paths with some history each, no two alike, all admissible: the costliest case, since every one has to be ranked. */
function sideOf(candidates: number): Side {
  const policy = createReferencePolicy()
  const indices: number[] = []
  let nowUs = 0
  for (let i = 0; i < candidates; i++) {
    const path = policy.addPath(
      {
        id: `prefill-0/rail0>decode-${i}/rail0`,
        pool: `decode-${i}`,
        maxSessions: 64,
        softCapacityFraction: 0,
        riskGroups: [],
      },
      nowUs,
    )
    indices.push(path)
    for (let sample = 0; sample < 32; sample++) {
      nowUs += 100
      const totalUs = 900 + ((i * 7 + sample * 13) % 50)
      policy.observe(
        {
          path,
          leaseId: 0,
          outcome: 'ok',
          totalUs,
          bytes: 65_536,
          dropFraction: 0,
          source: 'transfer',
          selfDelayed: false,
        },
        nowUs,
      )
    }
  }
  const request: PolicyRequest = {
    requestId: null,
    workload: WORKLOADS.interactive,
    bytes: 65_536,
    deadlineUs: null,
    candidates: indices,
    leaseUs: LEASE_US,
    attempt: 0,
    recomputeUs: null,
    mayQueue: false,
    seq: 1,
  }
  return { policy, request, nowUs }
}

function decideOnce(side: Side): void {
  side.nowUs += 1
  const decision = side.policy.decide(side.request, side.nowUs)
  if (decision.verdict !== 'admitted') throw new Error(`no candidate was admitted: ${decision.outcome}`)
  side.policy.release(decision.leaseId, side.nowUs)
}

function perCpuSecond(side: Side, effort: Effort): number {
  const batch = Math.max(8, Math.round(20_000 / side.request.candidates.length))
  const spendNs = effort.quick ? 20e6 : 200e6
  const start = processCpuNs()
  let count = 0
  let spent = 0
  do {
    for (let i = 0; i < batch; i++) decideOnce(side)
    count += batch
    spent = processCpuNs() - start
  } while (spent < spendNs)
  return count / (spent / 1e9)
}

function figuresOf(candidates: number, side: Side, rates: readonly number[], effort: Effort): Figure[] {
  const prototype = PROTOTYPE_PER_CPU_SECOND[candidates as keyof typeof PROTOTYPE_PER_CPU_SECOND]
  const ratio = TARGET_RATIO[candidates]
  const count = Math.max(1, Math.round(2_000 / candidates))
  const heap = Array.from({ length: effort.rounds }, () => {
    return allocatedBytes(() => {
      for (let i = 0; i < count; i++) decideOnce(side)
    })
  })
  const at = `${candidates} candidates`
  return [
    figure(
      `decisions.time.${candidates}`,
      'ns',
      rates.map((rate) => 1e9 / rate),
      `${at}: CPU time of a decision and its release`,
    ),
    figure(
      `decisions.perCandidate.${candidates}`,
      'ns',
      rates.map((rate) => 1e9 / rate / candidates),
      `${at}: the same a candidate`,
    ),
    figure(
      `decisions.heap.${candidates}`,
      'bytes',
      heap.map((bytes) => bytes / count),
      `${at}: heap a decision takes`,
    ),
    figure(
      `decisions.overPrototype.${candidates}`,
      'x',
      rates.map((rate) => rate / prototype),
      `${at}: decisions a CPU-second over the prototype's ${prototype.toLocaleString('en')}`,
      ratio === undefined ? null : { atLeast: ratio },
    ),
  ]
}
