// Paths, samples and requests that the tests of the reference profile are made of.

import type { PathDescription, Policy, PolicyRequest, Sample } from '../../../src/policy/policy.js'
import type { WorkloadProfile } from '../../../src/policy/workload.js'

export function path(id: string, changes: Partial<PathDescription> = {}): PathDescription {
  return { id, pool: `pool-of-${id}`, maxSessions: 8, softCapacityFraction: 0.75, riskGroups: [], ...changes }
}

export function sample(index: number, latencyMs: number, changes: Partial<Sample> = {}): Sample {
  return {
    path: index,
    leaseId: 0,
    outcome: 'ok',
    totalUs: Math.round(latencyMs * 1000),
    bytes: 524_288,
    dropFraction: 0,
    source: 'transfer',
    selfDelayed: false,
    ...changes,
  }
}

export function workload(changes: Partial<WorkloadProfile> = {}): WorkloadProfile {
  return {
    name: 'test',
    criticality: 0.5,
    latencySlaMs: 100,
    jitterTolerance: 0.5,
    isReleasePath: false,
    isPrefillDecodeStrict: false,
    ...changes,
  }
}

export function request(candidates: readonly number[], changes: Partial<PolicyRequest> = {}): PolicyRequest {
  return {
    requestId: null,
    workload: workload(),
    bytes: 1 << 20,
    deadlineUs: null,
    candidates,
    leaseUs: 1_000_000,
    attempt: 0,
    recomputeUs: null,
    mayQueue: false,
    seq: 0,
    ...changes,
  }
}

/** Feeds latencies (ms) in order. */
export function feed(policy: Policy, index: number, latenciesMs: readonly number[], dropFraction = 0): void {
  for (const latencyMs of latenciesMs) policy.observe(sample(index, latencyMs, { dropFraction }), 0)
}

export function repeat<T>(times: number, pattern: readonly T[]): T[] {
  return Array.from({ length: times }, () => pattern).flat()
}

/** 32-bit linear congruential generator: test input, the same on every machine. */
export function randomSource(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}
