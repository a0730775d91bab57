// When paths are probed in the background, and that the budget holds whatever happens and nobody waits for ever.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { PathState, ProbeDue } from '../../src/policy/policy.js'
import { ProbeBudget } from '../../src/policy/probe-budget.js'
import { PROBE_RULES, ProbeSchedule, type ProbeScheduleRules } from '../../src/policy/probe-schedule.js'

const SECOND = 1_000_000
const TICK = 250_000
const GIGABYTE = 1e9

/** One path, or some, of one source, asked every tick; probes end at once. */
function play(
  states: (path: number, nowUs: number) => PathState | null,
  setup: {
    paths?: number
    seconds: number
    groups?: (path: number) => string[]
    nominal?: number
    payload?: (path: number, nowUs: number) => boolean
    rules?: Partial<ProbeScheduleRules>
  },
): (ProbeDue & { atUs: number })[] {
  const schedule = new ProbeSchedule({ ...PROBE_RULES, ...setup.rules })
  const paths = setup.paths ?? 1
  for (let path = 0; path < paths; path++) {
    schedule.addPath('source', setup.groups?.(path) ?? [`rail:${path}`], setup.nominal ?? 100 * GIGABYTE, 0)
  }
  const sent: (ProbeDue & { atUs: number })[] = []
  for (let atUs = 0; atUs <= setup.seconds * SECOND; atUs += TICK) {
    for (let path = 0; path < paths; path++) if (setup.payload?.(path, atUs)) schedule.payload(path, atUs)
    for (const due of schedule.due((path) => states(path, atUs), atUs)) {
      sent.push({ ...due, atUs })
      schedule.probed(due.path, atUs)
    }
  }
  return sent
}

describe('what is due', () => {
  test('a path that was never measured is probed at once, then every five idle seconds, every fourth large', () => {
    const sent = play(() => 'healthy', { seconds: 40 })
    expect(sent.map(({ atUs }) => atUs / SECOND)).toEqual([0, 5, 10, 15, 20, 25, 30, 35, 40])
    const large = sent.map(({ bytes }) => bytes === PROBE_RULES.largeBytes)
    expect(large).toEqual([false, false, false, true, false, false, false, true, false])
    expect(sent.every(({ timeoutUs }) => timeoutUs === 500_000)).toBe(true)
  })

  test('a path that carries payload is left alone until it rests', () => {
    const sent = play(() => 'healthy', { seconds: 30, payload: (_, atUs) => atUs < 20 * SECOND && atUs % SECOND === 0 })
    expect(sent.map(({ atUs }) => atUs / SECOND)).toEqual([24, 29])
  })

  test('payload less than once a second does not keep a degraded path from being measured', () => {
    const often = play(() => 'degraded_usable', { seconds: 20, payload: () => true })
    expect(often).toEqual([])
    const seldom = play(() => 'degraded_usable', { seconds: 20, payload: (_, atUs) => atUs % (4 * SECOND) === 0 })
    expect(seldom.length).toBeGreaterThanOrEqual(8)
  })

  test('an isolated path is proven again and again, small and large in turn, payload or not', () => {
    for (const state of ['quarantine_candidate', 'quarantined'] as const) {
      const sent = play(() => state, { seconds: 5, payload: () => true })
      expect(sent.length).toBe(21)
      expect(sent.slice(0, 4).map(({ bytes }) => bytes)).toEqual([65_536, 4_194_304, 65_536, 4_194_304])
      expect(sent[0]!.reason).toBe(state === 'quarantined' ? 'recover' : 'verify')
    }
  })

  test('a path that cannot be used is not probed', () => {
    expect(play(() => null, { seconds: 20 })).toEqual([])
  })

  test('after a minute without a large one the next is large, however few there were', () => {
    const sent = play(() => 'healthy', { seconds: 80, rules: { idleUs: 35 * SECOND } })
    expect(sent.map(({ bytes }) => bytes)).toEqual([65_536, 65_536, 4_194_304])
  })

  test('two paths of one risk group are not measured at the same time, but both are', () => {
    const schedule = new ProbeSchedule()
    for (const rail of ['rail:a', 'rail:b', 'rail:a']) schedule.addPath('source', [rail], 100 * GIGABYTE, 0)
    const ask = (atUs: number) => schedule.due(() => 'healthy', atUs).map(({ path }) => path)
    expect(ask(0)).toEqual([0, 1])
    expect(ask(TICK)).toEqual([])
    schedule.probed(0, TICK)
    expect(ask(TICK)).toEqual([2])
  })

  test('a probe that nobody reports back frees its path after its time', () => {
    const schedule = new ProbeSchedule()
    schedule.addPath('source', ['rail:a'], 100 * GIGABYTE, 0)
    expect(schedule.due(() => 'quarantined', 0)).toHaveLength(1)
    expect(schedule.due(() => 'quarantined', SECOND - 1)).toHaveLength(0)
    expect(schedule.due(() => 'quarantined', SECOND)).toHaveLength(1)
  })

  test('a source too slow for a large probe ever is probed with small ones', () => {
    const sent = play(() => 'quarantined', { seconds: 60, nominal: 50e6, rules: { burstBytes: 1_000_000 } })
    expect(sent.length).toBeGreaterThan(10)
    expect(sent.every(({ bytes }) => bytes === 65_536)).toBe(true)
  })
})

const states = fc.constantFrom<PathState | null>(
  'unknown',
  'healthy',
  'degraded_usable',
  'degraded_restricted',
  'quarantine_candidate',
  'quarantined',
  'restored',
  null,
)
const step = fc.record({
  waitUs: fc.integer({ min: 0, max: 3 * SECOND }),
  states: fc.array(states, { minLength: 12, maxLength: 12 }),
  payload: fc.array(fc.boolean(), { minLength: 12, maxLength: 12 }),
  answers: fc.boolean(),
})

describe('always', () => {
  test('over every stretch of time no source gets more probes or bytes than its budget', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 60 }),
        fc.double({ min: 1e6, max: 1e11, noNaN: true }),
        (steps, nominal) => {
          const schedule = new ProbeSchedule()
          const owner = (path: number): number => path % 2
          for (let path = 0; path < 12; path++) {
            schedule.addPath(`s${owner(path)}`, [`rail:${path % 4}`], nominal, 0)
          }
          const sent: { atUs: number; source: number; bytes: number }[] = []
          const warm = new Array<number>(12).fill(0)
          let atUs = 0
          for (const { waitUs, states: now, payload, answers } of steps) {
            atUs += waitUs
            for (const [path, moved] of payload.entries()) if (moved) schedule.payload(path, atUs)
            for (const due of schedule.due((path) => now[path]!, atUs)) {
              expect(now[due.path]).not.toBeNull()
              // The first of a size on a path moves its bytes twice, as the engine does.
              const moved = due.bytes > warm[due.path]! ? 2 * due.bytes : due.bytes
              warm[due.path] = Math.max(warm[due.path]!, due.bytes)
              sent.push({ atUs, source: owner(due.path), bytes: moved })
              if (answers) schedule.probed(due.path, atUs)
            }
          }
          for (const source of [0, 1]) {
            const own = sent.filter((each) => each.source === source)
            for (let from = 0; from < own.length; from++) {
              let bytes = 0
              for (let to = from; to < own.length; to++) {
                bytes += own[to]!.bytes
                const seconds = (own[to]!.atUs - own[from]!.atUs) / SECOND
                expect(to - from + 1).toBeLessThanOrEqual(PROBE_RULES.burstProbes + 20 * seconds + 1e-6)
                expect(bytes).toBeLessThanOrEqual(PROBE_RULES.burstBytes + 0.005 * nominal * seconds + 1e-3)
              }
            }
          }
        },
      ),
    )
  })

  test('no path waits for ever, whatever states the others are in and however tight the budget', () => {
    fc.assert(
      fc.property(
        fc.array(
          states.filter((state) => state !== null),
          { minLength: 2, maxLength: 24 },
        ),
        fc.integer({ min: 1, max: 20 }),
        fc.constantFrom(2e8, 1e9, 1e11),
        (fixed, probesPerSecond, nominal) => {
          const seconds = 240
          const sent = play((path) => fixed[path]!, {
            paths: fixed.length,
            seconds,
            nominal,
            rules: { probesPerSecond },
          })
          for (let path = 0; path < fixed.length; path++) {
            expect(sent.some((each) => each.path === path)).toBe(true)
            const newest = sent.findLast((each) => each.path === path)!
            // Idle time, and a turn of everybody else at the pace that the tightest of the two budgets allows.
            const turnSeconds = fixed.length * Math.max(1 / probesPerSecond, (2 * 4_194_304) / (0.005 * nominal))
            expect(seconds - newest.atUs / SECOND).toBeLessThanOrEqual(5 + 2 * turnSeconds + 1)
          }
        },
      ),
      { numRuns: 60 },
    )
  })

  test('the same calls give the same answers', () => {
    const once = (): unknown =>
      play((path, atUs) => ((path + atUs / TICK) % 3 === 0 ? 'quarantined' : 'healthy'), { paths: 9, seconds: 30 })
    expect(once()).toEqual(once())
  })
})

describe('a budget', () => {
  test('refills by time, never above its burst, and not by a clock that goes back', () => {
    const budget = new ProbeBudget({ probesPerSecond: 2, byteShare: 0.01, burstProbes: 2, burstBytes: 1000 }, 10_000)
    expect([budget.pay(500, 0), budget.pay(500, 0), budget.pay(0, 0)]).toEqual([true, true, false])
    expect(budget.pay(60, 0.5 * SECOND)).toBe(false)
    expect(budget.pay(50, 0.5 * SECOND)).toBe(true)
    expect(budget.pay(0, 0)).toBe(false)
    expect(budget.pay(0, 0.5 * SECOND)).toBe(false)
    expect(budget.pay(1001, 1000 * SECOND)).toBe(false)
    expect([1000, 0, 0].map((bytes) => budget.pay(bytes, 1000 * SECOND))).toEqual([true, true, false])
  })
})
