// Paths, samples, requests and links in virtual time that the tests of the default profile are made of.

import { createDefaultPolicy } from '../../../src/policy/default/profile.js'
import type {
  PathDescription,
  PathState,
  Policy,
  PolicyDecision,
  PolicyRequest,
  Sample,
  TickResult,
  Transition,
} from '../../../src/policy/policy.js'
import { DEFAULT_SETTINGS, type PolicySettings } from '../../../src/policy/settings.js'
import { WORKLOADS } from '../../../src/policy/workload.js'

export const MIB = 1 << 20
/** 10 GB/s. */
export const BYTES_PER_US = 10_000
export const FIXED_US = 50

export function path(id: string, changes: Partial<PathDescription> = {}): PathDescription {
  return {
    id,
    pool: 'pool',
    maxSessions: 0,
    softCapacityFraction: 0,
    riskGroups: [],
    nominal: { fixedUs: FIXED_US, bytesPerSecond: BYTES_PER_US * 1_000_000 },
    ...changes,
  }
}

export function sample(index: number, changes: Partial<Sample> = {}): Sample {
  const bytes = changes.bytes ?? 100 * MIB
  return {
    path: index,
    leaseId: 0,
    outcome: 'ok',
    totalUs: idealUs(bytes),
    bytes,
    dropFraction: 0,
    source: 'transfer',
    selfDelayed: false,
    ...changes,
  }
}

export function idealUs(bytes: number): number {
  return Math.ceil(FIXED_US + bytes / BYTES_PER_US)
}

export function request(candidates: readonly number[], changes: Partial<PolicyRequest> = {}): PolicyRequest {
  return {
    requestId: null,
    workload: WORKLOADS.interactive,
    bytes: 100 * MIB,
    deadlineUs: null,
    candidates,
    leaseUs: 10_000_000,
    attempt: 0,
    recomputeUs: null,
    mayQueue: false,
    seq: 0,
    ...changes,
  }
}

function settings(changes: Partial<PolicySettings>): PolicySettings {
  return { ...DEFAULT_SETTINGS, ...changes }
}

/** A policy with its clock, so that a test reads as a story. */
export class Story {
  readonly policy: Policy
  readonly settings: PolicySettings
  readonly transitions: Transition[] = []
  nowUs = 0
  #seq = 0

  constructor(
    paths: readonly PathDescription[],
    changes: Partial<PolicySettings> = {},
    profile: 'default' | 'isolate' = 'default',
  ) {
    this.settings = settings(changes)
    this.policy = createDefaultPolicy(profile, this.settings, 'test')
    for (const each of paths) this.policy.addPath(each, 0)
  }

  state(index: number): PathState {
    return this.policy.snapshot(index).state
  }

  observe(index: number, changes: Partial<Sample> = {}): readonly Transition[] {
    const transitions = this.policy.observe(sample(index, changes), this.nowUs)
    this.transitions.push(...transitions)
    return transitions
  }

  decide(candidates: readonly number[], changes: Partial<PolicyRequest> = {}): PolicyDecision {
    this.#seq++
    return this.policy.decide(request(candidates, { seq: this.#seq, ...changes }), this.nowUs)
  }

  tick(): TickResult {
    const result = this.policy.tick(this.nowUs)
    this.transitions.push(...result.transitions)
    return result
  }

  /** Lets time pass in ticks of 250 ms; `each` runs before every tick. */
  pass(ms: number, each: () => void = () => {}): TickResult[] {
    const results: TickResult[] = []
    for (const endUs = this.nowUs + ms * 1000; this.nowUs < endUs; ) {
      this.nowUs = Math.min(endUs, this.nowUs + 250_000)
      each()
      results.push(this.tick())
    }
    return results
  }

  /** One transfer decided, moved at `slowdown` times its ideal time, settled and released. */
  transfer(candidates: readonly number[], slowdown = 1, changes: Partial<PolicyRequest> = {}): PolicyDecision {
    const decision = this.decide(candidates, changes)
    if (decision.verdict !== 'admitted') return decision
    const bytes = changes.bytes ?? 100 * MIB
    const totalUs = Math.ceil(idealUs(bytes) * slowdown)
    this.nowUs += totalUs
    this.observe(decision.path, { leaseId: decision.leaseId, totalUs, bytes })
    this.policy.release(decision.leaseId, this.nowUs)
    return decision
  }

  /** Makes a path healthy. */
  prove(index: number): this {
    for (let i = 0; i < 12; i++) this.transfer([index])
    this.pass(250)
    return this
  }

  /** Answers every probe that is due for `ms`; true from `works` lets it succeed. */
  probe(ms: number, works: (path: number) => boolean): void {
    for (const endUs = this.nowUs + ms * 1000; this.nowUs < endUs; ) {
      this.nowUs += 250_000
      for (const due of this.tick().probesDue) {
        const outcome = works(due.path) ? 'ok' : 'timeout'
        const totalUs = outcome === 'ok' ? idealUs(due.bytes) : due.timeoutUs
        this.observe(due.path, { source: 'probe', bytes: due.bytes, outcome, totalUs })
      }
    }
  }
}

export function paths(count: number, changes: Partial<PathDescription> = {}): PathDescription[] {
  return Array.from({ length: count }, (_, i) => path(`p${i}`, changes))
}
