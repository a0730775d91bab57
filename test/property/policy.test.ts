// Invariants of the default and isolate profiles under any stream of calls (I14, I16, I18, I20 to I25 of the failure catalogue).

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LEGAL } from '../../src/policy/default/path-machine.js'
import { createDefaultPolicy } from '../../src/policy/default/profile.js'
import type { Policy, PolicyDecision, SampleOutcome, Transition } from '../../src/policy/policy.js'
import { WORKLOADS } from '../../src/policy/workload.js'
import { MIB, path, request, sample } from '../policy/default/streams.js'

const OUTCOMES: readonly SampleOutcome[] = [
  'ok',
  'ok',
  'ok',
  'ok',
  'timeout',
  'transport',
  'corrupt',
  'link_down',
  'remote_busy',
  'expired',
  'local',
  'cancelled',
  'telemetry_missing',
]
const CLASSES = [WORKLOADS.release, WORKLOADS.interactive, WORKLOADS.batch]
const SESSIONS = [4, 7, 1, 12]

type Act =
  | {
      kind: 'decide'
      paths: readonly number[]
      tier: number
      mib: number
      leftMs: number | null
      queue: boolean
      attempt: number
    }
  | { kind: 'settle'; pick: number; outcome: number; us: number; release: boolean }
  | { kind: 'sample'; path: number; outcome: number; us: number; probe: boolean; mib: number }
  | { kind: 'release' | 'start' | 'withdraw'; pick: number }
  | { kind: 'pass'; us: number }
  | { kind: 'pin'; path: number; state: 'healthy' | 'quarantined' | 'restored' | null; us: number }

const pick = fc.nat({ max: 200 })
const us = fc.integer({ min: 0, max: 2_000_000 })
const act: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('decide' as const),
      paths: fc.subarray([0, 1, 2, 3]),
      tier: fc.nat({ max: 2 }),
      mib: fc.integer({ min: 0, max: 500 }),
      leftMs: fc.option(fc.integer({ min: 0, max: 5000 })),
      queue: fc.boolean(),
      attempt: fc.constantFrom(0, 0, 0, 1),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('settle' as const),
      pick,
      outcome: fc.nat({ max: OUTCOMES.length - 1 }),
      us,
      release: fc.boolean(),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('sample' as const),
      path: fc.nat({ max: 3 }),
      outcome: fc.nat({ max: OUTCOMES.length - 1 }),
      us,
      probe: fc.boolean(),
      mib: fc.integer({ min: 0, max: 300 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('release', 'start', 'withdraw'), pick }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('pass' as const), us }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('pin' as const),
      path: fc.nat({ max: 3 }),
      state: fc.constantFrom('healthy', 'quarantined', 'restored', null),
      us,
    }),
  },
)

/** Drives a policy and keeps, beside it, what it has said. */
class World {
  readonly policy: Policy
  readonly said: unknown[] = []
  readonly leases = new Map<number, { path: number; tier: number }>()
  readonly granted: { leaseId: number; path: number; settled: boolean }[] = []
  readonly tickets: number[] = []
  nowUs = 0
  #seq = 0

  constructor(profile: 'default' | 'isolate') {
    this.policy = createDefaultPolicy(profile)
    SESSIONS.forEach((maxSessions, i) => {
      this.policy.addPath(path(`p${i}`, { maxSessions, riskGroups: [`nic:${i >> 1}`], pool: i < 3 ? 'a' : 'b' }), 0)
    })
  }

  do(each: Act): void {
    switch (each.kind) {
      case 'decide': {
        this.#seq++
        const asked = request(each.paths, {
          workload: CLASSES[each.tier]!,
          bytes: each.mib * MIB,
          deadlineUs: each.leftMs === null ? null : this.nowUs + each.leftMs * 1000,
          leaseUs: 3_000_000,
          mayQueue: each.queue,
          attempt: each.attempt,
          seq: this.#seq,
        })
        const explained = this.policy.explain(asked, this.nowUs)
        const said = JSON.stringify({ ...outward(explained), detail: explained.detail() })
        const decision = this.policy.decide(asked, this.nowUs)
        // Deciding is explaining plus taking: same verdict, same words.
        expect(JSON.stringify({ ...outward(decision), detail: decision.detail() })).toBe(said)
        this.took(decision, each.tier)
        if (decision.verdict === 'queued') this.tickets.push(decision.ticket)
        break
      }
      case 'settle': {
        const lease = this.granted[each.pick % Math.max(1, this.granted.length)]
        if (lease === undefined) break
        this.observe(lease.path, { leaseId: lease.leaseId, outcome: OUTCOMES[each.outcome]!, totalUs: each.us })
        if (each.release) this.release(lease.leaseId)
        break
      }
      case 'sample':
        this.observe(each.path, {
          outcome: OUTCOMES[each.outcome]!,
          totalUs: each.us,
          bytes: each.mib * MIB,
          source: each.probe ? 'probe' : 'transfer',
        })
        break
      case 'release':
        this.release(this.granted[each.pick % Math.max(1, this.granted.length)]?.leaseId ?? each.pick)
        break
      case 'start':
        this.said.push(
          this.policy.start(this.granted[each.pick % Math.max(1, this.granted.length)]?.leaseId ?? 0, this.nowUs),
        )
        break
      case 'withdraw':
        this.said.push(
          this.policy.withdraw(this.tickets[each.pick % Math.max(1, this.tickets.length)] ?? 0, this.nowUs),
        )
        break
      case 'pin':
        this.moved(this.policy.pin(each.path, each.state, 'test', this.nowUs + each.us + 1, this.nowUs))
        break
      case 'pass': {
        this.nowUs += each.us
        const result = this.policy.tick(this.nowUs)
        for (const id of result.expiredLeases) expect(this.leases.delete(id)).toBe(true)
        this.moved(result.transitions)
        for (const { decision, request: asked } of result.granted)
          this.took(decision, CLASSES.indexOf(asked.workload as never))
        this.said.push(result.probesDue, result.alarms, result.expiredLeases)
        break
      }
      default:
        each satisfies never
    }
    this.said.push(SESSIONS.map((_, i) => this.policy.snapshot(i)))
  }

  observe(index: number, changes: Parameters<typeof sample>[1]): void {
    this.moved(this.policy.observe(sample(index, changes), this.nowUs))
  }

  release(leaseId: number): void {
    expect(this.policy.release(leaseId, this.nowUs)).toBe(this.leases.delete(leaseId))
  }

  took(decision: PolicyDecision, tier: number): void {
    this.said.push(outward(decision), decision.detail())
    if (decision.verdict !== 'admitted') return
    expect(this.leases.has(decision.leaseId)).toBe(false)
    this.leases.set(decision.leaseId, { path: decision.path, tier })
    this.granted.push({ leaseId: decision.leaseId, path: decision.path, settled: false })
  }

  moved(transitions: readonly Transition[]): void {
    this.said.push(transitions)
    for (const { from, to, cause, figures } of transitions) {
      if (!cause.startsWith('pin')) expect(LEGAL[from]).toContain(to)
      for (const figure of Object.values(figures)) expect(Number.isFinite(figure)).toBe(true)
    }
  }
}

function outward({ verdict, outcome, path: chosen, retryAfterUs }: PolicyDecision) {
  return { verdict, outcome, chosen, retryAfterUs }
}

const acts = fc.array(act, { minLength: 1, maxLength: 120 })
const profile = fc.constantFrom('default' as const, 'isolate' as const)

test('I14, I20: the chosen candidate is in the record and admissible by it, every other one has its reasons, all figures are finite', () => {
  fc.assert(
    fc.property(profile, acts, (name, stream) => {
      const world = new World(name)
      const original = world.took.bind(world)
      world.took = (decision, tier) => {
        const detail = decision.detail()
        const chosen = detail.candidates.filter((each) => each.chosen)
        expect(chosen.length).toBe(decision.verdict === 'admitted' ? 1 : 0)
        for (const candidate of detail.candidates) {
          if (candidate.chosen) expect(candidate.admissible).toBe(true)
          if (candidate.chosen) expect(candidate.path).toBe(`p${decision.path}`)
          if (!candidate.admissible) expect(candidate.failed.length).toBeGreaterThan(0)
          if (!candidate.admissible) expect(candidate.reason.length).toBeGreaterThan(10)
          const { gfs, prs, fae, model } = candidate
          for (const figure of [gfs, prs, fae, model!.confidence, ...model!.predictedUs, ...model!.slowdown]) {
            expect(Number.isFinite(figure)).toBe(true)
            expect(figure).toBeGreaterThanOrEqual(0)
          }
          for (const share of [gfs, prs, model!.confidence]) expect(share).toBeLessThanOrEqual(1)
        }
        original(decision, tier)
      }
      for (const each of stream) world.do(each)
    }),
    { numRuns: 150 },
  )
})

test('I16, I24: the same stream says the same, byte for byte', () => {
  fc.assert(
    fc.property(profile, acts, (name, stream) => {
      const [a, b] = [new World(name), new World(name)]
      for (const each of stream) a.do(each)
      for (const each of stream) b.do(each)
      expect(JSON.stringify(b.said)).toBe(JSON.stringify(a.said))
    }),
    { numRuns: 60 },
  )
})

test('I18, I25: states move only along the table, and healthy is reached from unknown or restored alone', () => {
  for (const [from, to] of Object.entries(LEGAL)) {
    if (to.includes('healthy')) expect(['unknown', 'restored']).toContain(from)
  }
  fc.assert(
    fc.property(profile, acts, (name, stream) => {
      const world = new World(name)
      for (const each of stream) world.do(each)
    }),
    { numRuns: 150 },
  )
})

test('I25: a path that is unknown is never taken by strict work while a proven one does as well', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 200 }), fc.boolean(), (mib, unknownFirst) => {
      const policy = createDefaultPolicy()
      policy.addPath(path('a'), 0)
      policy.addPath(path('b'), 0)
      const proven = unknownFirst ? 1 : 0
      for (let i = 0; i < 30; i++) policy.observe(sample(proven), i * 20_000)
      policy.tick(750_000)
      expect(policy.snapshot(proven).state).toBe('healthy')
      expect(policy.snapshot(1 - proven).state).toBe('unknown')
      const decision = policy.decide(request([0, 1], { workload: WORKLOADS.release, bytes: mib * MIB }), 750_000)
      expect(decision.path).toBe(proven)
    }),
  )
})

test('I21: sessions are the live leases, never above capacity, and tolerant work never takes the last reserved ones', () => {
  fc.assert(
    fc.property(profile, acts, (name, stream) => {
      const world = new World(name)
      for (const each of stream) {
        world.do(each)
        SESSIONS.forEach((maxSessions, index) => {
          const { activeSessions } = world.policy.snapshot(index)
          expect(activeSessions).toBe([...world.leases.values()].filter((lease) => lease.path === index).length)
          expect(activeSessions).toBeLessThanOrEqual(maxSessions)
        })
        const inPoolA = [...world.leases.values()].filter((lease) => lease.path < 3)
        const batch = inPoolA.filter((lease) => lease.tier === 2).length
        // 12 sessions: interactive never lends a quarter of the whole, so at least 3 stay out of reach of batch.
        expect(batch).toBeLessThanOrEqual(9)
      }
    }),
    { numRuns: 150 },
  )
})

test('I22: a path that flaps with any period from half a second up changes state a bounded number of times a minute', () => {
  fc.assert(
    fc.property(fc.integer({ min: 500, max: 8000 }), (periodMs) => {
      const policy = createDefaultPolicy()
      for (const id of ['a', 'b']) policy.addPath(path(id), 0)
      let changes = 0
      let probes: { path: number; bytes: number }[] = []
      for (let nowUs = 0; nowUs < 300_000_000; nowUs += 50_000) {
        const down = Math.floor(nowUs / (periodMs * 500)) % 2 === 1
        const outcome = down ? 'transport' : 'ok'
        const state = policy.snapshot(0).state
        if (state !== 'quarantined' && state !== 'quarantine_candidate') {
          changes += policy.observe(sample(0, { outcome }), nowUs).length
        }
        for (const probe of probes)
          changes += policy.observe(
            sample(probe.path, { outcome: probe.path === 0 ? outcome : 'ok', bytes: probe.bytes, source: 'probe' }),
            nowUs,
          ).length
        const result = policy.tick(nowUs)
        changes += result.transitions.length
        probes = result.probesDue.map(({ path: index, bytes }) => ({ path: index, bytes }))
      }
      // Five minutes; undamped, the slowest flap here would allow 75 changes and the fastest 1,200.
      expect(changes).toBeLessThan(60)
    }),
    { numRuns: 15 },
  )
})

test('I23: a path that is no candidate changes no decision', () => {
  fc.assert(
    fc.property(acts, fc.integer({ min: 1, max: 5 }), (any, others) => {
      // Whether a risk group stands out depends on who is outside it, so nothing fails here.
      const stream = any.map((each) => ('outcome' in each ? { ...each, outcome: 0 } : each))
      const [alone, beside] = [new World('default'), new World('default')]
      for (let i = 0; i < others; i++) {
        beside.policy.addPath(path(`other${i}`, { pool: 'elsewhere', pathClass: 'other' }), 0)
      }
      const decided = (world: World) => {
        const verdicts: unknown[] = []
        const took = world.took.bind(world)
        world.took = (decision, tier) => {
          verdicts.push(outward(decision))
          took(decision, tier)
        }
        for (const each of stream) world.do(each)
        return JSON.stringify(verdicts)
      }
      expect(decided(beside)).toBe(decided(alone))
    }),
    { numRuns: 100 },
  )
})

test('I19: with less evidence against the path, or more time, what was admitted stays admitted', () => {
  const stretch = fc.double({ min: 1, max: 6, noNaN: true })
  fc.assert(
    fc.property(
      stretch,
      stretch,
      fc.integer({ min: 15, max: 200 }),
      fc.integer({ min: 0, max: 200 }),
      (slow, slower, leftMs, moreMs) => {
        const admitted = (slowdown: number, ms: number) => {
          const policy = createDefaultPolicy()
          policy.addPath(path('a'), 0)
          for (let i = 0; i < 40; i++) policy.observe(sample(0, { totalUs: Math.ceil(13_000 * slowdown) }), i * 20_000)
          policy.tick(1_000_000)
          return policy.decide(request([0], { deadlineUs: 1_000_000 + ms * 1000 }), 1_000_000).verdict === 'admitted'
        }
        const worse = Math.max(slow, slower)
        const better = Math.min(slow, slower)
        if (admitted(worse, leftMs)) expect(admitted(better, leftMs)).toBe(true)
        if (admitted(slow, leftMs)) expect(admitted(slow, leftMs + moreMs)).toBe(true)
      },
    ),
    { numRuns: 150 },
  )
})
