// Transfers as JavaScript sees them: bytes, times, deadlines, cancellation, and the difference between settled and quiesced.

import { getEventListeners } from 'node:events'
import { describe, expect, it } from 'vitest'
import { SeamError } from '../../src/errors.js'
import { itOnMock } from '../backend.js'
import { admit, eventually, openFor, openPair, PATIENCE_MS, PREFILL, post } from './pair.js'
import { refusalOf } from './refusal.js'

/** A prefill agent that pushes to, and pulls from, a decode agent of another seam: as between two processes. */
async function openAcross() {
  const near = await openFor()
  const far = await openFor()
  const agent = await near.agent(PREFILL)
  const other = await far.agent('decode-0')
  const kv = agent.allocate(1 << 16, { name: 'kv' })
  const slots = other.allocate(1 << 16, { name: 'slots' })
  kv.view().fill(3)
  slots.view().fill(4)
  const peer = await near.connect(agent, other.metadata())
  return { near, far, agent, other, kv, slots, peer }
}

/** Waits without giving the event loop a turn. */
function spinUntil(holds: () => boolean): void {
  const until = performance.now() + PATIENCE_MS
  while (!holds() && performance.now() < until);
}

describe('a transfer', () => {
  it('reads from a peer and writes to one, and says what it measured', async () => {
    const { near, agent, other, kv, slots, peer } = await openAcross()
    const pushed = await near.transfer(admit(near, { bytes: 4096, to: ['decode-0'] }), {
      from: kv.range(0, 4096),
      to: peer.region('slots').range(8192, 4096),
    })
    expect(pushed.path.mode).toBe('push')
    expect(slots.read(8191, 2)).toEqual(Uint8Array.of(4, 3))
    const pulled = await near.transfer(admit(near, { bytes: 4096, from: 'decode-0' }), {
      from: peer.region('slots').range(0, 4096),
      to: kv.range(4096, 4096),
    })
    expect(pulled.path.mode).toBe('pull')
    expect(kv.read(4095, 2)).toEqual(Uint8Array.of(3, 4))
    for (const { bytes, outcome, ms } of [pushed, pulled]) {
      expect(bytes).toBe(4096)
      expect(outcome.totalNs).toBeGreaterThan(0)
      expect(outcome.totalNs).toBeGreaterThanOrEqual(outcome.postNs + outcome.wireNs - 1)
      expect(ms).toBe(outcome.totalNs / 1e6)
    }
    expect(agent.counters.posted).toBe(2)
    // One-sided: the other end posted nothing.
    expect(other.counters.posted).toBe(0)
  })

  it('delivers its notification once, after its bytes', async () => {
    const { near, other, kv, slots, peer } = await openAcross()
    const notes = other.notifications()
    for (let round = 0; round < 50; round++) {
      kv.view().fill(round)
      const moved = near.transfer(admit(near, { bytes: 65_536, to: ['decode-0'] }), {
        from: kv.blocks(4096),
        to: peer.region('slots').blocks(4096),
        notify: Uint8Array.of(round),
      })
      const { value } = (await notes.next()) as { value: { from: string; data: Uint8Array } }
      expect(value).toEqual({ from: PREFILL, data: Uint8Array.of(round) })
      expect(slots.view().every((byte) => byte === round)).toBe(true)
      await moved
    }
    expect(other.counters.droppedNotifications).toBe(0)
  })

  it('sends control messages without a permit, to one reader each', async () => {
    const { agent, other, peer } = await openAcross()
    const readers = [other.notifications(), other.notifications()]
    // Both readers wait when the messages come; a waiter that is overwritten by the next one would never wake.
    const got = readers.map(async (reader) => (await reader.next()).value?.data[0])
    await new Promise((resolve) => setImmediate(resolve))
    await agent.notify(peer, Uint8Array.of(1))
    await agent.notify(peer, Uint8Array.of(2))
    expect((await Promise.all(got)).sort()).toEqual([1, 2])
    const ended = readers.map(async (reader) => await reader.next())
    await other.close()
    expect(await Promise.all(ended)).toEqual([
      { done: true, value: undefined },
      { done: true, value: undefined },
    ])
  })

  it('loses no control message when a reader stops half-way', async () => {
    const { agent, other, peer } = await openAcross()
    for (const byte of [1, 2, 3]) await agent.notify(peer, Uint8Array.of(byte))
    const got: number[] = []
    for (let reader = 0; reader < 3; reader++) {
      for await (const { data } of other.notifications()) {
        got.push(data[0]!)
        break
      }
    }
    expect(got).toEqual([1, 2, 3])
  })

  it.each([0, 1025])('refuses a notification of %d bytes', async (bytes) => {
    const { near, agent, peer, kv } = await openAcross()
    const error = await refusalOf(async () => await agent.notify(peer, new Uint8Array(bytes)))
    expect(error.code).toBe('KVSEAM_INVALID_ARGUMENT')
    expect(error.message).toContain(`${bytes} bytes`)
    if (bytes === 0) return
    const decision = admit(near, { bytes: 8, to: ['decode-0'] })
    const refused = await refusalOf(
      async () =>
        await near.transfer(decision, {
          from: kv.range(0, 8),
          to: peer.region('slots').range(0, 8),
          notify: new Uint8Array(bytes),
        }),
    )
    expect(refused.message).toContain('the limit is 1024')
    expect(agent.counters.posted).toBe(0)
  })

  it('that never completes settles at its deadline with the path to blame, and its memory stays held', async () => {
    const { seam, decode, kv, slots } = await openPair({ agents: { quiesceGraceMs: 50 } })
    // The backend goes on with it although it was cancelled, as UCX does: the memory is not free before it says so.
    const faults = seam.faults.arm('*.read=pause;*.cancel=drop')
    const transfer = post(admit(seam, { bytes: 64 }), kv.range(0, 64), slots.range(0, 64), { timeoutMs: 1000 / 30 })
    const error = await refusalOf(async () => await transfer.settled)
    expect(error).toMatchObject({ code: 'KVSEAM_TIMEOUT', blame: 'path', retryable: true })
    expect(error.message).toContain('do not use the destination')
    expect(error.facts).toMatchObject({ agent: 'decode-0', bytesUnknown: true })
    expect(error.facts['totalNs']).toBeGreaterThanOrEqual(33e6)
    expect(decode.counters.inFlight).toBe(1)
    await eventually('quarantined', () => transfer.isQuarantined)
    expect(transfer.isQuiesced).toBe(false)
    expect(decode.counters.quarantined).toBe(1)
    expect(await refusalOf(async () => await slots.close())).toMatchObject({ code: 'KVSEAM_REGION_BUSY' })
    faults.resume()
    await transfer.quiesced
    expect(transfer.isQuarantined).toBe(false)
    expect(decode.counters).toMatchObject({ inFlight: 0, quarantined: 0, lateCompletions: 1 })
    await slots.close()
  })

  it('settles before it quiesces, each once', async () => {
    const { seam, kv, slots } = await openPair()
    const faults = seam.faults.arm('*.read=pause')
    const transfer = post(admit(seam, { bytes: 64 }), kv.range(0, 64), slots.range(0, 64))
    const events: string[] = []
    transfer.settled.then(
      () => events.push('settled'),
      () => events.push('failed'),
    )
    void transfer.quiesced.then(() => events.push('quiesced'))
    await faults.whenPaused()
    expect(events).toEqual([])
    faults.resume()
    await transfer.quiesced
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(events).toEqual(['settled', 'quiesced'])
    expect(transfer.isQuiesced).toBe(true)
    transfer.cancel()
    await transfer.settled
  })

  it('that was cancelled settles at once, once, and quiesces later', async () => {
    const { seam, decode, kv, slots } = await openPair()
    const faults = seam.faults.arm('*.read=pause')
    const transfer = post(admit(seam, { bytes: 64 }), kv.range(0, 64), slots.range(0, 64))
    await faults.whenPaused()
    transfer.cancel()
    transfer.cancel()
    const error = await refusalOf(async () => await transfer.settled)
    expect(error).toMatchObject({ code: 'KVSEAM_CANCELLED', blame: 'cancelled' })
    faults.resume()
    await transfer.quiesced
    expect(decode.counters).toMatchObject({ settled: 1, quiesced: 1, inFlight: 0 })
  })

  it('ends with the reason of an AbortSignal, whenever it fires, and leaves no listener on it', async () => {
    const { seam, decode, kv, slots } = await openPair()
    const request = { from: kv.range(0, 64), to: slots.range(0, 64), workload: 'batch' }
    const abort = new AbortController()
    await seam.handoff({ ...request, signal: abort.signal })
    expect(getEventListeners(abort.signal, 'abort')).toHaveLength(0)
    expect(decode.counters.posted).toBe(1)

    const faults = seam.faults.arm('*.read=pause')
    const running = seam.handoff({ ...request, signal: abort.signal })
    await faults.whenPaused()
    const reason = new Error('the user left')
    abort.abort(reason)
    await expect(running).rejects.toBe(reason)
    expect(getEventListeners(abort.signal, 'abort')).toHaveLength(0)
    faults.resume()

    const { permits } = seam.policy.counters
    await expect(seam.handoff({ ...request, signal: abort.signal })).rejects.toBe(reason)
    expect(decode.counters.posted).toBe(2)
    expect(seam.policy.counters.permits).toMatchObject({ redeemed: permits.redeemed, minted: permits.minted })
    // Nobody's path was hurt, and no session is left behind.
    await eventually('sessions given back', () => [...seam.paths].every((path) => path.health.activeSessions === 0))
    expect([...seam.paths].every((path) => path.health.dropFraction === 0)).toBe(true)
  })

  it('takes an AbortSignal.timeout() as it is', async () => {
    const { seam, kv, slots } = await openPair()
    using faults = seam.faults.arm('*.read=pause')
    const running = seam.handoff({
      from: kv.range(0, 64),
      to: slots.range(0, 64),
      workload: 'batch',
      signal: AbortSignal.timeout(30),
    })
    await expect(running).rejects.toMatchObject({ name: 'TimeoutError' })
    void faults
  })

  it('charges what a backend reports to the side it blames', async () => {
    const { seam, kv, slots } = await openPair({ profile: 'default' })
    using faults = seam.faults.arm('*.read=error(remote_disconnect)')
    const error = await refusalOf(
      async () =>
        await seam.handoff({ from: kv.range(0, 64), to: slots.range(0, 64), workload: 'batch', failovers: 0 }),
    )
    expect(SeamError.is(error, 'KVSEAM_PEER_DOWN')).toBe(true)
    expect(error.blame).toBe('peer')
    expect(faults.report().rules[0]!.fired).toBe(1)
    const failed = [...seam.paths].map((path) => path.counters.failed)
    expect(failed.reduce((sum, each) => sum + each)).toBe(1)
    // The peer is gone, and its path with it; the other one was not blamed.
    expect([...seam.paths].filter((path) => path.state === 'quarantined')).toHaveLength(1)
  })
})

describe('latency', () => {
  itOnMock('is recorded natively per path and phase, for successful transfers only', async () => {
    const { seam, kv, slots } = await openPair({ agents: { rails: [{ name: 'efa0', latencyUs: 2000 }] } })
    const [path] = seam.paths.between(PREFILL, 'decode-0')
    expect(path!.latency().count).toBe(0)
    expect(path!.latency().percentileNs(0.99)).toBe(0)
    for (let i = 0; i < 20; i++) {
      await seam.handoff({ from: kv.range(0, 64), to: slots.range(0, 64), workload: 'batch' })
    }
    using faults = seam.faults.arm('*.read=error(timeout)')
    await refusalOf(
      async () => await seam.handoff({ from: kv.range(0, 64), to: slots.range(0, 64), workload: 'batch' }),
    )
    void faults
    const total = path!.latency()
    const wire = path!.latency('wire')
    const stalled = path!.agent.counters.stalls
    // Those that a stalled progress thread made late are left out, the failed one always.
    expect(total.count).toBeGreaterThanOrEqual(stalled === 0 ? 20 : 1)
    expect(total.count).toBeLessThanOrEqual(20)
    expect(wire.count).toBe(total.count)
    // Both rails of the path have 2 ms: none can be faster than 4 ms, whatever the machine does.
    expect(wire.percentileNs(0.01)).toBeGreaterThan(3.8e6)
    expect(wire.percentileNs(0.01)).toBeLessThanOrEqual(wire.percentileNs(0.99))
    expect(wire.percentileNs(1)).toBeLessThanOrEqual(wire.maxNs)
    expect(total.sumNs).toBeGreaterThanOrEqual(wire.sumNs)
    expect(total.meanNs).toBe(total.sumNs / total.count)
    expect(path!.counters).toMatchObject({ succeeded: 20, failed: 1, bytes: 20 * 64 })
    expect(path!.latency('post').percentileNs(0.5)).toBeLessThan(wire.percentileNs(0.5))
  })
})

describe('completions', () => {
  it('of a burst share wake-ups, and each still settles its own promise', async () => {
    const { seam, decode, kv, slots } = await openPair({ sessionsPerPath: 100_000 })
    const from = kv.range(0, 64)
    const to = Array.from({ length: 2000 }, (_, i) => slots.range(i * 64, 64))
    const before = decode.counters.wakes
    const transfers = to.map((blocks) => post(admit(seam, { bytes: 64 }), from, blocks))
    // Submitted within one turn of the event loop: what has completed by now waits for one and the same wake-up.
    spinUntil(() => decode.counters.quiesced === 2000)
    expect(decode.counters.wakes - before).toBeLessThanOrEqual(1)
    const outcomes = await Promise.all(transfers.map(async (transfer) => await transfer.settled))
    expect(outcomes.every((outcome) => outcome.bytes === 64)).toBe(true)
    expect(decode.counters.wakes - before).toBeLessThan(200)
    expect(decode.counters.inFlight).toBe(0)
  })

  it('do not need the event loop to make progress', async () => {
    const { seam, decode, kv, slots } = await openPair()
    const transfer = post(admit(seam, { bytes: 1 << 20 }), kv.blocks(4096), slots.blocks(4096))
    spinUntil(() => decode.counters.quiesced === 1)
    expect(decode.counters.quiesced).toBe(1)
    expect(Buffer.compare(slots.view(), kv.view())).toBe(0)
    await transfer.settled
  })

  it('let an idle agent sleep', async () => {
    const { seam, decode, kv, slots } = await openPair()
    await seam.handoff({ from: kv.range(0, 64), to: slots.range(0, 64), workload: 'batch' })
    await eventually('asleep', () => decode.native.progressLag(decode.handle) === 0)
    const { sleeps } = decode.counters
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(decode.counters.sleeps - sleeps).toBeLessThan(30)
  })
})
