// Closing: idempotent, bounded, every transfer settled, and nothing left in the process afterwards.

import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { SeamError } from '../../src/errors.js'
import { type Binding, SLOTS } from '../../src/native/binding.js'
import { Completions } from '../../src/native/completions.js'
import { openSeam } from '../../src/seam.js'
import { backendOptions } from '../backend.js'
import { admit, eventually, openPair, post } from './pair.js'
import { refusalOf } from './refusal.js'

/** Threads of this process that ours are called. Other test files have theirs, so only a growth means something. */
function progressThreads(): number {
  let count = 0
  for (const id of readdirSync('/proc/self/task')) {
    try {
      if (readFileSync(`/proc/self/task/${id}/comm`, 'utf8').startsWith('kvseam-progress')) count++
    } catch {
      // It ended meanwhile.
    }
  }
  return count
}

describe('close()', () => {
  it('settles what is in flight as closed, once, within a bound, and may be called again', async () => {
    const { seam, kv, slots } = await openPair({ sessionsPerPath: 1000 })
    seam.faults.arm('*.read=pause')
    const transfers = Array.from({ length: 200 }, (_, i) =>
      post(admit(seam, { bytes: 64 }), kv.range(0, 64), slots.range(i * 64, 64)),
    )
    const outcomes = transfers.map(async (transfer) => (await refusalOf(async () => await transfer.settled)).code)
    const startedMs = performance.now()
    const first = seam.close()
    const second = seam.close()
    await Promise.all([first, second, seam[Symbol.asyncDispose]()])
    expect(performance.now() - startedMs).toBeLessThan(10_000)
    // close() cancels before it stops, so either word is right; a hang or a success would not be.
    for (const code of new Set(await Promise.all(outcomes))) expect(code).toMatch(/CANCELLED|CLOSED/)
    await Promise.all(transfers.map(async (transfer) => await transfer.quiesced))
  })

  it('waits for what is in flight as long as it was told', async () => {
    const { seam, decode, kv, slots } = await openPair({ agents: { rails: [{ name: 'efa0', latencyUs: 50_000 }] } })
    const transfer = post(admit(seam, { bytes: 64 }), kv.range(0, 64), slots.range(0, 64))
    await decode.close({ drainMs: 20_000 })
    expect((await transfer.settled).bytes).toBe(64)
  })

  it('refuses everything afterwards, with what to do', async () => {
    const { seam, kv, slots } = await openPair()
    const decision = admit(seam, { bytes: 64 })
    const from = kv.range(0, 64)
    const to = slots.range(0, 64)
    await seam.close()
    for (const use of [
      async () => await seam.agent('late'),
      async () => await seam.connect(kv.agent, new Uint8Array(1)),
      async () => await seam.handoff({ from, to, workload: 'batch' }),
      async () => await seam.transfer(decision, { from, to }),
      () => seam.policy.decide({ workload: 'batch', bytes: 1, from: 'prefill-0' }),
      () => seam.policy.explain({ workload: 'batch', bytes: 1, from: 'prefill-0' }),
      () => seam.policy.observe({ path: decision.path.id, outcome: 'ok', totalUs: 1, bytes: 1 }),
      () => seam.policy.release(decision.lease),
    ]) {
      const error = await refusalOf(use)
      expect(error.code).toBe('KVSEAM_CLOSED')
      expect(error.message).toContain('openSeam()')
    }
    // Giving back after the end is no error: the caller's `finally` must not raise a second one.
    seam.policy.abandon(decision)
  })

  it('leaves no progress thread behind', async () => {
    const before = progressThreads()
    for (let i = 0; i < 20; i++) {
      const seam = await openSeam(backendOptions)
      await seam.agent('a')
      await seam.agent('b')
      await seam.close()
    }
    // 40 if each were left; other files open and close agents meanwhile.
    await eventually('threads ended', () => progressThreads() <= before + 12)
  })

  // A thread stuck inside a library never reports again (native tests hold one there); the promises must not wait for it.
  it('settles what a stuck thread leaves behind, and no outcome twice', async () => {
    const silent = { keepAlive() {}, cancel() {}, progressLag: () => 0 } as unknown as Binding
    const completions = new Completions(silent, 'a', () => {})
    completions.attach(1)
    const stuck = completions.track(SLOTS + 1)
    const done = completions.track(SLOTS + 2)
    const outcome = { bytes: 8, postNs: 1, wireNs: 1, totalNs: 2, selfDelayed: false }
    done.succeed(outcome)
    completions.settleRest(new SeamError('KVSEAM_CLOSED', {}, 'the agent was closed'))
    expect(await refusalOf(async () => await stuck.settled)).toMatchObject({ code: 'KVSEAM_CLOSED' })
    expect(await done.settled).toBe(outcome)
    // Settled, but the memory is not quiet, and nobody may think so.
    expect(stuck.isQuiesced).toBe(false)
    expect(completions.unquiesced).toBe(2)
  })

  it('while an agent is being opened ends that too', async () => {
    const seam = await openSeam(backendOptions)
    await seam.agent('a')
    const opening = seam.agent('b').then(
      () => 'opened',
      (error: { code: string }) => error.code,
    )
    await seam.close()
    expect(['opened', 'KVSEAM_CLOSED']).toContain(await opening)
    expect(seam.agents.every((agent) => agent.closed)).toBe(true)
  })
})
