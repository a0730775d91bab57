// Rows 36 to 46: what the policy makes of paths that are jittery, bimodal, bad one way, or failing together, of clocks that
// jump, and of sessions that never come back. The reference profile judges; its own faults are in its page.

import { describe, expect, onTestFinished, vi } from 'vitest'
import { type ArmedFaults, type DecisionRecord, openSeam, SeamError } from '../../src/index.js'
import { permitNumber } from '../../src/permit.js'
import { backendOptions } from '../backend.js'
import { CapacityModel } from './oracles/capacity-model.js'
import { DecisionReevaluator } from './oracles/decision-reevaluator.js'
import { row } from './row.js'
import { BLOCK, rail, Subject } from './subject.js'

async function quietly(moving: Promise<unknown>): Promise<void> {
  await moving.catch((error: unknown) => {
    if (!SeamError.is(error)) throw error
  })
}

/**
 * Moves over one path and tells the policy what the fault did to it, not what this machine did on top: the injected time, and
 * 100 us for the rest. A loaded machine then decides nothing.
 */
async function moveAndTell(subject: Subject, armed: ArmedFaults, times: number): Promise<number[]> {
  const told: number[] = []
  for (let i = 0; i < times; i++) {
    const before = armed.firings.length
    await subject.post({ rail: 0 }).transfer.settled
    const ns = armed.firings.slice(before).reduce((sum, firing) => sum + firing.value, 0)
    told.push(100 + Math.round(ns / 1000))
    subject.seam.policy.observe({ path: rail(0), outcome: 'ok', totalUs: told.at(-1)!, bytes: BLOCK })
  }
  return told
}

function verdict(subject: Subject, workload: string, n: number): DecisionRecord['candidates'][number] {
  const record = subject.seam.policy.explain({ workload, bytes: BLOCK, from: 'prefill-0', to: ['decode-0'] })
  return record.candidates.find((candidate) => candidate.path === rail(n))!
}

describe('a path', () => {
  row(36, 'that is jittery is refused to strict classes only', async () => {
    const subject = await Subject.open()
    using armed = subject.seam.faults.arm('seed=3;rail0.read=delay(7ms~6ms)')
    await moveAndTell(subject, armed, 20)
    expect(verdict(subject, 'interactive', 0)).toMatchObject({
      admissible: false,
      outcome: 'rejected_jitter_intolerance',
    })
    expect(verdict(subject, 'release', 0).admissible).toBe(false)
    expect(verdict(subject, 'batch', 0).admissible).toBe(true)
    for (const workload of ['release', 'interactive', 'batch'])
      expect(verdict(subject, workload, 1).admissible).toBe(true)
    await subject.check()
  })

  row(37, 'that is fast on average and slow at times is not given to strict classes', async () => {
    const subject = await Subject.open()
    using armed = subject.seam.faults.arm('seed=8;rail0.read=delay(bimodal(100us,20ms,15%))')
    const times = await moveAndTell(subject, armed, 30)
    expect(times.slice(-10).filter((us) => us > 20_000).length).toBeGreaterThan(0)
    expect(times.sort((a, b) => a - b)[15]).toBeLessThan(1000) // the usual case is fast
    const { p99Ms, admissible } = verdict(subject, 'interactive', 0)
    expect(p99Ms).toBeGreaterThanOrEqual(20)
    expect(admissible).toBe(false)
    await subject.check()
  })

  row(38, 'that is bad in one direction is judged in that direction alone', async () => {
    const subject = await Subject.open()
    const other = await openSeam(backendOptions)
    onTestFinished(() => other.close())
    const far = await other.agent('decode-9')
    const pool = far.allocate(8 * BLOCK, { name: 'kv' })
    const peer = await subject.seam.connect(subject.prefill, far.metadata())
    using armed = subject.seam.faults.arm('decode-9.write=delay(30ms);decode-9.read=1*delay(1ms)')
    const there = 'prefill-0/rail0>decode-9/rail0'
    const back = 'decode-9/rail0>prefill-0/rail0'
    pool.view().fill(1)
    const lists = {
      [there]: [subject.source.blocks(BLOCK, [0]), peer.region('kv').blocks(BLOCK, [0])],
      [back]: [peer.region('kv').blocks(BLOCK, [1]), subject.source.blocks(BLOCK, [1])],
    } as const
    for (let i = 0; i < 12; i++) {
      for (const id of [there, back] as const) {
        const before = armed.firings.length
        const [from, to] = lists[id]
        const exclude = [...subject.seam.paths].map((path) => path.id).filter((other) => other !== id)
        const decision = subject.seam.policy.decide({
          workload: 'batch',
          bytes: BLOCK,
          from: from.owner,
          to: [to.owner],
          exclude,
        })
        if (decision.outcome !== 'admitted') break
        const { path } = decision
        await path.agent.post({
          permit: permitNumber(decision.permit),
          path: path.nativeIndex,
          operation: path.operation,
          local: path.mode === 'pull' ? to : from,
          remote: path.mode === 'pull' ? from : to,
          timeoutMs: 10_000,
        }).settled
        const ns = armed.firings.slice(before).reduce((sum, firing) => sum + firing.value, 0)
        subject.seam.policy.observe({ path: id, outcome: 'ok', totalUs: 100 + ns / 1000, bytes: BLOCK })
      }
    }
    expect(armed.firings.every((firing) => (firing.op === 'write') === (firing.path === there))).toBe(true)
    const health = (id: string) => subject.seam.paths.get(id)!.health
    expect(health(there).gfs).toBeGreaterThan(0.18)
    expect(health(there).state).not.toBe('healthy')
    expect(health(back)).toMatchObject({ state: 'healthy' })
  })

  row(39, 'that is left when others fail together takes no more than its capacity', async () => {
    const rails = [0, 1, 2].map((n) => ({ name: `rail${n}` }))
    const subject = await Subject.open({ sessionsPerPath: 6 }, { rails })
    const before = subject.seam.policy.explain({ workload: 'batch', bytes: BLOCK, from: 'prefill-0', to: ['decode-0'] })
    {
      using _ = subject.seam.faults.arm('seed=1;rail0.read=delay(45ms~40ms);rail1.read=delay(45ms~40ms)')
      for (const exclude of [
        [rail(1), rail(2)],
        [rail(0), rail(2)],
      ]) {
        for (let i = 0; i < 12; i++) {
          const from = subject.source.blocks(BLOCK, [0])
          const to = subject.target.blocks(BLOCK, [0])
          await quietly(subject.seam.handoff({ from, to, workload: 'batch', exclude }))
        }
      }
    }
    const taken: string[] = []
    for (let i = 0; i < 40; i++) {
      const decision = subject.seam.policy.decide({
        workload: 'interactive',
        bytes: BLOCK,
        from: 'prefill-0',
        to: ['decode-0'],
      })
      if (decision.outcome !== 'admitted') break
      subject.capacity.taken(decision)
      taken.push(decision.path.id)
      subject.capacity.check()
    }
    expect(new Set(taken)).toEqual(new Set([rail(2)]))
    expect(taken.length).toBeLessThanOrEqual(6)
    const after = subject.seam.policy.explain({ workload: 'batch', bytes: BLOCK, from: 'prefill-0', to: ['decode-0'] })
    const risk = (record: DecisionRecord, n: number): number =>
      record.candidates.find(({ path }) => path === rail(n))!.prs
    for (const n of [0, 1]) expect(risk(after, n)).toBeGreaterThan(risk(before, n))
    subject.decisions.check()
  })
})

describe('a clock', () => {
  row(41, 'on the wall that jumps by days changes no decision', async () => {
    const run = async (jumpMs: number): Promise<string> => {
      let nowUs = 0
      const seam = await openSeam({ profile: 'reference', clockUs: () => (nowUs += 1000) })
      try {
        const prefill = await seam.agent('prefill-0')
        await seam.agent('decode-0')
        const reevaluator = new DecisionReevaluator(seam)
        const real = Date.now
        const jump = vi.spyOn(Date, 'now').mockImplementation(() => real() + jumpMs)
        try {
          for (let i = 0; i < 40; i++) {
            seam.policy.observe({
              path: rail(i % 2),
              outcome: i % 5 === 0 ? 'timeout' : 'ok',
              totalUs: 500 + 37 * i,
              bytes: 4096,
            })
            const decision = seam.policy.decide({
              workload: i % 3 === 0 ? 'batch' : 'interactive',
              bytes: 4096,
              from: prefill.name,
              to: ['decode-0'],
            })
            if (decision.outcome === 'admitted' && i % 2 === 0) seam.policy.abandon(decision)
          }
        } finally {
          jump.mockRestore()
        }
        reevaluator.check()
        // Paths are numbered as their two directions connect, in either order; the record's candidates carry their names.
        return JSON.stringify(
          reevaluator.records.map((record) => ({ ...record, epoch: '', req: { ...record.req, candidates: [] } })),
        )
      } finally {
        await seam.close()
      }
    }
    const day = 86_400_000
    const plain = await run(0)
    expect(plain.length).toBeGreaterThan(1000)
    expect(await run(3 * day)).toBe(plain)
    expect(await run(-3 * day)).toBe(plain)
  })
})

describe('a session', () => {
  row(46, 'that is never given back ends with its lease, and its place is free again', async () => {
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    let nowUs = 1_000_000
    const seam = await openSeam({ profile: 'reference', clockUs: () => nowUs, sessionsPerPath: 4 })
    onTestFinished(() => seam.close())
    const prefill = await seam.agent('prefill-0')
    const decode = await seam.agent('decode-0')
    const from = prefill.allocate(BLOCK, { name: 'kv' })
    const to = decode.allocate(BLOCK, { name: 'kv' })
    const model = new CapacityModel(seam)
    using armed = seam.faults.arm('rail0.release=drop;rail1.release=1*error(timeout)->delay(30ms)')
    const active = (n: number): number => seam.paths.get(rail(n))!.health.activeSessions
    const one = async (n: number): Promise<void> => {
      const done = await seam.handoff({
        from: from.blocks(BLOCK),
        to: to.blocks(BLOCK),
        workload: 'batch',
        deadlineMs: 500,
        exclude: [rail(1 - n)],
      })
      await done.quiesced
      await new Promise(setImmediate)
    }
    for (let i = 0; i < 3; i++) await one(0)
    expect(active(0)).toBe(3)
    await one(1)
    await one(1)
    expect(active(1)).toBe(2)
    await vi.waitFor(() => expect(active(1)).toBe(1)) // late, but it came
    expect(armed.report().rules.map((rule) => rule.fired)).toEqual([3, 2])
    nowUs += 500_000 + 2_000_000 - 1
    seam.policy.explain({ workload: 'batch', bytes: 1, from: 'prefill-0' })
    expect(active(0)).toBe(3)
    nowUs += 1
    seam.policy.explain({ workload: 'batch', bytes: 1, from: 'prefill-0' })
    expect([active(0), active(1)]).toEqual([0, 0])
    model.check()
  })
})
