// What the default policy costs: decide() with its record built, observe(), tick(), and the memory of many paths. Prints
// figures of this machine; asserts nothing. Run with: npx tsx --expose-gc bench/policy-cost.ts

import { createDefaultPolicy } from '../src/policy/default/profile.js'
import type { Policy, PolicyRequest, Sample } from '../src/policy/policy.js'
import { WORKLOADS } from '../src/policy/workload.js'

const BYTES = 100_000_000

function policyOf(paths: number): Policy {
  const policy = createDefaultPolicy()
  for (let i = 0; i < paths; i++) {
    policy.addPath(
      {
        id: `prefill-0/efa${i}>decode-${i}/efa0`,
        pool: `decode-${i >> 3}`,
        maxSessions: 0,
        softCapacityFraction: 0,
        riskGroups: [`nic:efa${i >> 1}`],
        nominal: { fixedUs: 50, bytesPerSecond: 12_500_000_000 },
      },
      0,
    )
  }
  return policy
}

function requestOf(candidates: readonly number[], seq: number, nowUs: number): PolicyRequest {
  return {
    requestId: null,
    workload: WORKLOADS.interactive,
    bytes: BYTES,
    deadlineUs: nowUs + 500_000,
    candidates,
    leaseUs: 3_000_000,
    attempt: 0,
    recomputeUs: null,
    mayQueue: false,
    seq,
  }
}

function sampleOf(path: number, leaseId: number, totalUs: number): Sample {
  return {
    path,
    leaseId,
    outcome: 'ok',
    totalUs,
    bytes: BYTES,
    dropFraction: 0,
    source: 'transfer',
    selfDelayed: false,
  }
}

interface Spread {
  readonly p50Ns: number
  readonly p99Ns: number
}

function spreadOf(samples: Float64Array): Spread {
  samples.sort()
  return { p50Ns: samples[samples.length >> 1]!, p99Ns: samples[Math.floor(samples.length * 0.99)]! }
}

/** One transfer a round: decide, settle, release; the two halves are timed apart. */
function cycle(candidateCount: number, rounds: number, detail: boolean): { decide: Spread; observe: Spread } {
  const policy = policyOf(candidateCount)
  const candidates = Array.from({ length: candidateCount }, (_, i) => i)
  const decideNs = new Float64Array(rounds)
  const observeNs = new Float64Array(rounds)
  const inFlight: { path: number; leaseId: number; startUs: number }[] = []
  let nowUs = 0
  for (let i = -5000; i < rounds; i++) {
    nowUs += 2000
    if (i % 125 === 0) policy.tick(nowUs)
    const request = requestOf(candidates, i + 5000, nowUs)
    const before = process.hrtime.bigint()
    const decision = policy.decide(request, nowUs)
    if (detail) decision.detail()
    const after = process.hrtime.bigint()
    if (decision.verdict === 'admitted')
      inFlight.push({ path: decision.path, leaseId: decision.leaseId, startUs: nowUs })
    let observed = 0n
    if (inFlight.length > candidateCount * 2) {
      const done = inFlight.shift()!
      const sample = sampleOf(done.path, done.leaseId, nowUs - done.startUs)
      const start = process.hrtime.bigint()
      policy.observe(sample, nowUs)
      observed = process.hrtime.bigint() - start
      policy.release(done.leaseId, nowUs)
    }
    if (i < 0) continue
    decideNs[i] = Number(after - before)
    observeNs[i] = Number(observed)
  }
  return { decide: spreadOf(decideNs), observe: spreadOf(observeNs) }
}

function many(paths: number): { bytesPerPath: number; decideNs: number; tickMs: number } {
  globalThis.gc?.()
  const before = process.memoryUsage()
  const policy = policyOf(paths)
  for (let round = 0; round < 10; round++) {
    for (let path = 0; path < paths; path++) policy.observe(sampleOf(path, 0, 8100), round * 1000)
  }
  const ticks = new Float64Array(9)
  for (let i = 0; i < ticks.length; i++) {
    const started = process.hrtime.bigint()
    policy.tick(250_000 * (i + 1))
    ticks[i] = Number(process.hrtime.bigint() - started)
  }
  const tickMs = spreadOf(ticks).p50Ns / 1e6
  globalThis.gc?.()
  const after = process.memoryUsage()
  const used = after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers
  const candidates = Array.from({ length: 8 }, (_, i) => i * Math.floor(paths / 8))
  const costs = new Float64Array(5000)
  for (let i = 0; i < costs.length; i++) {
    const start = process.hrtime.bigint()
    const decision = policy.decide(requestOf(candidates, i, 3_000_000 + i), 3_000_000 + i)
    costs[i] = Number(process.hrtime.bigint() - start)
    policy.release(decision.leaseId, 3_000_000 + i)
  }
  return { bytesPerPath: Math.round(used / paths), decideNs: spreadOf(costs).p50Ns, tickMs }
}

const us = (ns: number) => (ns / 1000).toFixed(2).padStart(8)

console.log(`node ${process.version}; the timer itself costs about ${us(timerNs())} us`)
console.log('candidates  record   decide p50    p99 us   observe p50    p99 us')
// All shapes first, or the compiler optimises for the first one and starts again in the middle of the second.
for (const count of [1, 8, 64, 1, 8, 64]) cycle(count, 5000, true)
for (const count of [1, 8, 64]) {
  for (const detail of [false, true]) {
    const { decide, observe } = cycle(count, 20_000, detail)
    console.log(
      `${String(count).padStart(10)}  ${detail ? 'built ' : 'lazy  '}  ${us(decide.p50Ns)}  ${us(decide.p99Ns)}      ${us(observe.p50Ns)}  ${us(observe.p99Ns)}`,
    )
  }
}
for (const paths of [1000, 100_000]) {
  const { bytesPerPath, decideNs, tickMs } = many(paths)
  console.log(
    `${paths} active paths: ${bytesPerPath} bytes each (${((bytesPerPath * paths) / 1e6).toFixed(0)} MB), decide p50 ${us(decideNs)} us, tick ${tickMs.toFixed(1)} ms`,
  )
}

function timerNs(): number {
  const costs = new Float64Array(10_000)
  for (let i = 0; i < costs.length; i++) {
    const start = process.hrtime.bigint()
    costs[i] = Number(process.hrtime.bigint() - start)
  }
  return spreadOf(costs).p50Ns
}
