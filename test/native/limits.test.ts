// Limits are answers: a full queue is a typed error at once, never a wait, and nothing is lost or taken by it.

import { describe, expect, it } from 'vitest'
import { SeamError } from '../../src/errors.js'
import { Agent } from '../../src/native/agent.js'
import { binding, OPERATION } from '../../src/native/binding.js'
import { NotificationQueue } from '../../src/native/notification-queue.js'
import { permitNumber } from '../../src/permit.js'
import { BACKEND } from '../backend.js'
import { admit, openFor, openPair, PREFILL, post } from './pair.js'
import { refusalOf } from './refusal.js'

describe('a full queue', () => {
  it('of transfers refuses the next one with its permit unused, and takes it when there is room', async () => {
    const { seam, decode, kv, slots } = await openPair({ agents: { maxTransfers: 4 }, sessionsPerPath: 100 })
    const faults = seam.faults.arm('*.read=pause')
    const from = kv.range(0, 64)
    const to = slots.range(0, 64)
    const transfers = Array.from({ length: 4 }, (_, i) =>
      post(admit(seam, { bytes: 64 }), from, slots.range(i * 64, 64)),
    )
    const decision = admit(seam, { bytes: 64 })
    const redeemed = seam.policy.counters.permits.redeemed
    const startedMs = performance.now()
    for (let i = 0; i < 100; i++) {
      const error = await refusalOf(() => post(decision, from, to))
      expect(error).toMatchObject({ code: 'KVSEAM_QUEUE_FULL', retryable: true, blame: 'local' })
      expect(error.message).toMatch(/4 transfers are in flight.*maxTransfers/)
    }
    // A spin or a block would make each of these wait for a transfer that does not move.
    expect(performance.now() - startedMs).toBeLessThan(5000)
    expect(decode.counters).toMatchObject({ posted: expect.any(Number), inFlight: 4 })
    expect(seam.policy.counters.permits.redeemed).toBe(redeemed)
    faults.disarm()
    await Promise.all(transfers.map(async (transfer) => await transfer.quiesced))
    await post(decision, from, to).settled
    expect(decode.counters.inFlight).toBe(0)
  })

  it('of permits refuses a decision and gives its session back', async () => {
    const { seam } = await openPair({ sessionsPerPath: 1_000_000 })
    const { minted } = seam.policy.counters.permits
    for (let i = 0; i < 65_536; i++) admit(seam, { bytes: 1 })
    const before = [...seam.paths].map((path) => path.health.activeSessions)
    const error = await refusalOf(() => admit(seam, { bytes: 1 }))
    expect(error).toMatchObject({ code: 'KVSEAM_QUEUE_FULL', retryable: true })
    expect(error.message).toContain('65,536 permits are outstanding')
    expect([...seam.paths].map((path) => path.health.activeSessions)).toEqual(before)
    expect(seam.policy.counters).toMatchObject({ admitted: 65_536, permits: { minted: minted + 65_536 } })
  })

  it('of sessions rejects with the reason instead of queueing', async () => {
    const { seam } = await openPair({ sessionsPerPath: 2, profile: 'reference' })
    for (let i = 0; i < 4; i++) admit(seam, { bytes: 64 })
    const decision = seam.policy.decide({ workload: 'batch', bytes: 64, from: PREFILL })
    expect(decision.outcome).toBe('rejected')
    expect(decision.record.chosen).toBeNull()
    expect(decision.record.candidates).toHaveLength(2)
    for (const candidate of decision.record.candidates) {
      expect(candidate).toMatchObject({ admissible: false, activeSessions: 2, maxSessions: 2 })
    }
  })

  it('of notifications drops and counts the rest, and keeps the order of what it has', async () => {
    const queue = new NotificationQueue()
    const data = new Uint8Array(1)
    for (let i = 0; i < 65_546; i++) queue.push({ from: `${i}`, data })
    expect(queue.dropped).toBe(10)
    let got = 0
    for await (const { from } of queue.read()) {
      if (from !== `${got}`) throw new Error(`${from} came in place of ${got}`)
      if (++got === 65_536) queue.end()
    }
    expect(got).toBe(65_536)
  })
})

describe('the addon', () => {
  // The second bounds check: whatever gets past TypeScript must not get past C++.
  const hostile = [
    -1,
    1.5,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    2 ** 53,
    2 ** 63,
    '1',
    1n,
    null,
    undefined,
    {},
    [],
    true,
  ]

  it('refuses wrong numbers in every place of post and mint, and posts nothing', async () => {
    const { seam, decode, kv, slots } = await openPair()
    const native = binding()
    const decision = admit(seam, { bytes: 64 })
    const good = [
      decode.handle,
      permitNumber(decision.permit),
      decision.path.nativeIndex,
      OPERATION.read,
      slots.range(0, 64).listFor(decode),
      kv.range(0, 64).listFor(decode),
      0,
      1,
      1e9,
    ] as const
    for (let at = 0; at < good.length; at++) {
      for (const value of hostile) {
        const bad = [...good] as unknown[]
        bad[at] = value
        const error = await refusalOf(() => Reflect.apply(native.post, native, bad))
        expect(error.code, `argument ${at} as ${String(value)}`).toBe('KVSEAM_INVALID_ARGUMENT')
      }
      // Huge, but a number: finds nothing instead of something else by its low bits.
      const huge = [...good] as number[]
      huge[at] = good[at]! + 2 ** 50
      if (at !== good.length - 1)
        expect(SeamError.is(await refusalOf(() => Reflect.apply(native.post, native, huge)))).toBe(true)
    }
    for (let count = 0; count < good.length; count++) {
      expect(await refusalOf(() => Reflect.apply(native.post, native, good.slice(0, count)))).toMatchObject({
        code: 'KVSEAM_INVALID_ARGUMENT',
      })
    }
    for (const value of hostile.slice(6)) {
      if (value === undefined) continue
      await refusalOf(() => Reflect.apply(native.post, native, [...good, value]))
    }
    expect(decode.counters.posted).toBe(0)
    expect(seam.policy.counters.permits).toMatchObject({ redeemed: 0, outstanding: 1 })
    await decode.post({
      permit: permitNumber(decision.permit),
      path: decision.path.nativeIndex,
      operation: OPERATION.read,
      local: slots.range(0, 64),
      remote: kv.range(0, 64),
      timeoutMs: 1000,
    }).settled
  })

  it('refuses or ignores nonsense in every other function, and lives', async () => {
    const { seam, decode } = await openPair()
    const native = binding() as unknown as Record<string, (...args: unknown[]) => unknown>
    const values = [...hostile, decode.handle, new Uint8Array(4), new Float64Array(4), new Uint32Array(4), () => {}]
    // These change what the whole process shares, or need an argument that only the loader has.
    const left = new Set(['setErrorFactory', 'closeAgent', 'freeAgent'])
    let calls = 0
    for (const [name, call] of Object.entries(native)) {
      if (typeof call !== 'function' || left.has(name)) continue
      for (const first of values) {
        for (const second of values) {
          calls++
          try {
            const result = call(first, second, first, second, first, second, first, second, first)
            if (result instanceof Promise) await result.catch(() => {})
          } catch (error) {
            if (!SeamError.is(error)) throw new Error(`${name} threw something else`, { cause: error })
          }
        }
      }
    }
    expect(calls).toBeGreaterThan(5000)
    const { seam: other, kv, slots } = await openPair()
    expect((await other.handoff({ from: kv.range(0, 64), to: slots.range(0, 64), workload: 'batch' })).verified).toBe(
      true,
    )
    expect(seam.policy.counters.permits.redeemed).toBe(0)
  })

  it('refuses an agent of a gate that is closed, and options that are wrong', async () => {
    const native = binding()
    const gate = native.openGate()
    native.closeGate(gate)
    expect(await refusalOf(() => new Agent(gate, BACKEND, 'a'))).toMatchObject({ code: 'KVSEAM_CLOSED' })
    const seam = await openFor()
    expect(seam.backend).toMatchObject({ name: BACKEND, label: null, provider: null, version: null })
    for (const backend of ['ucxx', '../mock', '', 'x'.repeat(5000)]) {
      const error = await refusalOf(async () => await openFor({ backend }))
      expect(['KVSEAM_BACKEND_UNAVAILABLE', 'KVSEAM_INVALID_ARGUMENT']).toContain(error.code)
    }
    expect(await refusalOf(async () => await openFor({ backend: 5 as never }))).toMatchObject({
      code: 'KVSEAM_INVALID_ARGUMENT',
    })
  })
})
