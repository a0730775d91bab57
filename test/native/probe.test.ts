// Probes through the public face: what a report says, how failures and stalls show, and that user memory stays untouched.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { openSeam, type Path, type ProbeRecord, type Seam, type SeamOptions } from '../../src/index.js'
import { binding, PROBE_PERMIT } from '../../src/native/binding.js'
import { probeChannel } from '../../src/observe/channels.js'
import { backendOptions, onMock } from '../backend.js'

const open: Seam[] = []

afterEach(async () => {
  for (const seam of open.splice(0)) await seam.close()
})

async function twoAgents(options: SeamOptions = {}, latencyUs = 0): Promise<{ seam: Seam; path: Path; other: Path }> {
  const seam = await openSeam({ ...backendOptions, profile: 'reference', ...options })
  open.push(seam)
  const rails = [
    { name: 'rail0', latencyUs },
    { name: 'rail1', latencyUs },
  ]
  await seam.agent('prefill', { rails })
  await seam.agent('decode', { rails })
  return {
    seam,
    path: seam.paths.get('prefill/rail0>decode/rail0')!,
    other: seam.paths.get('prefill/rail1>decode/rail1')!,
  }
}

describe('a report', () => {
  test('has ordered percentiles, and a rate where bytes were moved', async () => {
    const { path } = await twoAgents({}, 100)
    const rtt = await path.probe({ count: 30 })
    expect(rtt).toMatchObject({
      path: path.id,
      kind: 'rtt',
      bytes: 64,
      count: 30,
      failed: 0,
      label: onMock ? 'mock' : 'real',
      faulted: false,
    })
    expect(rtt.n + rtt.selfDelayed).toBe(30)
    expect(rtt.failure).toBeNull()
    expect(rtt.bytesPerSecond).toBeNull()
    // The modelled latency of both rails is a lower bound that no noise can undercut.
    if (onMock) expect(rtt.minNs!).toBeGreaterThanOrEqual(200_000)
    const ladder = [rtt.minNs, rtt.p50Ns, rtt.p90Ns, rtt.p99Ns, rtt.p999Ns, rtt.maxNs] as number[]
    expect([...ladder].sort((a, b) => a - b)).toEqual(ladder)
    const read = await path.probe({ kind: 'read', bytes: 100_000, count: 5 })
    expect(read.bytesPerSecond!).toBeGreaterThan(0)
    if (onMock) expect(read.bytesPerSecond!).toBeLessThanOrEqual((100_000 * 5) / (5 * 200e-6))
  })

  test('goes into the history of its kind, apart from payload latency and payload counters', async () => {
    const { seam, path } = await twoAgents()
    expect(path.probeLatency('read')).toBeNull()
    await path.probe({ kind: 'read', bytes: 4096, count: 7 })
    await path.probe({ kind: 'read', bytes: 4096, count: 3 })
    const history = path.probeLatency('read')!
    expect(history.count + history.selfDelayed).toBe(10)
    expect(history.bytes).toBe(history.count * 4096)
    expect(history.ageMs!).toBeGreaterThanOrEqual(0)
    expect(path.probeLatency('write')).toBeNull()
    expect(path.probes().map((report) => report.count)).toEqual([7, 3])
    expect(path.latency().count).toBe(0)
    expect(path.counters.bytes).toBe(0)
    expect(path.agent.counters).toMatchObject({ posted: 0, probes: 11, probesUnquiesced: 0 })
    expect(seam.policy.counters.permits).toMatchObject({ minted: 0, redeemed: 0, probesMinted: 2, probesRedeemed: 2 })
  })

  test('moves no byte of any user region', async () => {
    const { seam, path } = await twoAgents()
    const regions = seam.agents.map((agent) => agent.allocate(1 << 20, { name: 'pool' }))
    for (const [i, region] of regions.entries()) region.view().fill(0xa0 + i)
    for (const kind of ['rtt', 'read', 'write'] as const) await path.probe({ kind, count: 5 })
    for (const [i, region] of regions.entries()) expect(region.view().every((byte) => byte === 0xa0 + i)).toBe(true)
  })

  test('is a record of schema kvseam.probe/1 in the log and on the channel', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'kvseam-probe-'))
    try {
      const file = join(folder, 'records.jsonl')
      const { seam, path } = await twoAgents({ recordLog: file })
      const heard: ProbeRecord[] = []
      const listen = (record: unknown): void => void heard.push(record as ProbeRecord)
      probeChannel.subscribe(listen)
      const report = await path.probe({ count: 4 })
      probeChannel.unsubscribe(listen)
      await seam.close()
      const lines = readFileSync(file, 'utf8').trim().split('\n')
      const records = lines.map((line) => JSON.parse(line)).filter(({ schema }) => schema === 'kvseam.probe/1')
      const { prevHash, ...record } = records[0]
      expect(records).toHaveLength(1)
      expect(prevHash).toMatch(/^[0-9a-f]{64}$/)
      expect(record).toEqual({
        schema: 'kvseam.probe/1',
        seq: expect.any(Number),
        tUs: expect.any(Number),
        epoch: expect.any(String),
        cause: 'asked',
        observed: false,
        ...report,
      })
      expect(heard).toEqual([record])
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})

describe('what is asked for', () => {
  test.each([
    [{ kind: 'ping' }, 'KVSEAM_INVALID_ARGUMENT', 'kind'],
    [{ bytes: 0 }, 'KVSEAM_OUT_OF_BOUNDS', 'bytes'],
    [{ bytes: 4097 }, 'KVSEAM_OUT_OF_BOUNDS', 'bytes'],
    [{ kind: 'read', bytes: 4 * 2 ** 20 + 1 }, 'KVSEAM_OUT_OF_BOUNDS', 'bytes'],
    [{ bytes: '64' }, 'KVSEAM_INVALID_ARGUMENT', 'bytes'],
    [{ count: 0 }, 'KVSEAM_OUT_OF_BOUNDS', 'count'],
    [{ count: 10_001 }, 'KVSEAM_OUT_OF_BOUNDS', 'count'],
    [{ count: 1.5 }, 'KVSEAM_OUT_OF_BOUNDS', 'count'],
    [{ window: 17 }, 'KVSEAM_OUT_OF_BOUNDS', 'window'],
    [{ timeoutMs: 0 }, 'KVSEAM_OUT_OF_BOUNDS', 'timeoutMs'],
    [{ timeoutMs: Number.NaN }, 'KVSEAM_OUT_OF_BOUNDS', 'timeoutMs'],
    [{ totalMs: -1 }, 'KVSEAM_OUT_OF_BOUNDS', 'totalMs'],
    [{ signal: {} }, 'KVSEAM_INVALID_ARGUMENT', 'signal'],
    [{ observe: 1 }, 'KVSEAM_INVALID_ARGUMENT', 'observe'],
    [{ size: 64 }, 'KVSEAM_CONFIG_INVALID', 'options.size'],
  ])('%j is refused with its name, and nothing is sent', async (options, code, field) => {
    const { path } = await twoAgents()
    await expect(path.probe(options as never)).rejects.toMatchObject({ code, facts: { field } })
    expect(path.agent.counters.probes).toBe(0)
  })

  test('an unknown kind of history is refused', async () => {
    const { path } = await twoAgents()
    expect(() => path.probeLatency('ping' as never)).toThrow(
      expect.objectContaining({ code: 'KVSEAM_INVALID_ARGUMENT' }),
    )
  })

  test('a permit for a payload is none for a probe', async () => {
    const seam = await openSeam(backendOptions)
    open.push(seam)
    const gate = binding().openGate()
    const agent = await seam.agent('a')
    await seam.agent('b')
    const path = [...seam.paths].find((each) => each.agent === agent)!
    const payload = binding().mint(gate, path.key, 3, 2 ** 40, 1e9)
    const order = {
      path: path.nativeIndex,
      kind: 0,
      inbound: true,
      bytes: 64,
      count: 1,
      window: 1,
      timeoutNs: 1e9,
      totalNs: 1e9,
    }
    expect(() => agent.probes.start({ ...order, permit: payload })).toThrow(
      expect.objectContaining({ code: 'KVSEAM_PERMIT_INVALID' }),
    )
    const foreign = binding().mint(gate, path.key, PROBE_PERMIT, 2 ** 40, 1e9)
    expect(() => agent.probes.start({ ...order, permit: foreign }), 'of another seam').toThrow(
      expect.objectContaining({ code: 'KVSEAM_PERMIT_INVALID' }),
    )
    binding().closeGate(gate)
  })

  test('no user region may take the name of the probe memory, nor find a peer’s', async () => {
    const { path, seam } = await twoAgents()
    expect(() => path.agent.allocate(64, { name: 'kvseam.probe' })).toThrow(
      expect.objectContaining({ code: 'KVSEAM_INVALID_ARGUMENT' }),
    )
    const peer = seam.agents[1]!.peers[0]!
    expect(peer.regions).toEqual([])
    expect(() => peer.region('kvseam.probe')).toThrow(expect.objectContaining({ code: 'KVSEAM_STALE_REGION' }))
  })
})

describe('faults', () => {
  test('of the operation probe lengthen probes and leave payloads alone', async () => {
    const { seam, path, other } = await twoAgents({ faults: 'rail0.probe=delay(30ms)' })
    const slow = await path.probe({ count: 3 })
    expect(slow.faulted).toBe(true)
    expect(slow.minNs!).toBeGreaterThanOrEqual(30e6)
    expect((await other.probe({ count: 3 })).minNs!).toBeLessThan(30e6)
    expect(seam.faults.report()[0]!.rules[0]).toMatchObject({ known: true })
    const [a, b] = seam.agents.map((agent) => agent.allocate(4096))
    const moved = await seam.handoff({ from: a!.blocks(4096), to: b!.blocks(4096), workload: 'batch' })
    expect(moved.path).toBe(path)
    expect(seam.faults.report()[0]!.rules[0]!.fired).toBe(4)
  })

  test('of reads and writes leave probes alone: a probe is an operation of its own', async () => {
    const { path } = await twoAgents({ faults: '*.read=error(timeout);*.write=error(timeout)' })
    for (const kind of ['rtt', 'read', 'write'] as const) {
      expect(await path.probe({ kind, count: 3, bytes: 64 })).toMatchObject({ failed: 0, failure: null })
    }
  })

  test('are matched by the id of the probed path, whichever way the bytes go', async () => {
    const { path, other } = await twoAgents({ faults: 'prefill/rail0>decode/rail0.probe=error(remote_access)' })
    for (const kind of ['read', 'write'] as const) {
      expect(await path.probe({ kind, count: 3 })).toMatchObject({
        n: 0,
        failure: 'KVSEAM_TRANSFER_FAILED',
        failureBlame: 'peer',
      })
      expect(await other.probe({ kind, count: 3 })).toMatchObject({ failed: 0 })
    }
  })

  test('that drop a probe cost its own time-out each and nothing else', async () => {
    const { path } = await twoAgents({ faults: 'seed=3;rail0.probe=50%drop' })
    const report = await path.probe({ count: 20, timeoutMs: 15 })
    expect(report.failed).toBeGreaterThan(0)
    expect(report.timedOut).toBe(report.failed)
    expect(report.n + report.selfDelayed).toBeGreaterThan(0)
    expect(report).toMatchObject({ failure: 'KVSEAM_TIMEOUT', failureBlame: 'path' })
    expect((await path.probe({ kind: 'write', count: 1, timeoutMs: 15 })).count).toBe(1)
  })

  test('that keep the event loop busy neither lengthen a probe nor hurt the path', async () => {
    const { path } = await twoAgents({ faults: 'rail0.probe=block(1s)@ops(3..3)' })
    const report = await path.probe({ count: 50, observe: true })
    expect(report.failed).toBe(0)
    expect(report.n + report.selfDelayed).toBe(50)
    // The loop stood still for a second; the thread that measures did not.
    expect(report.elapsedMs).toBeLessThan(800)
    expect(report.maxNs!).toBeLessThan(800e6)
    expect(path.health.p99Ms).toBeLessThan(800)
  })
})

describe('endings', () => {
  test('an aborted probe rejects with the signal’s reason, at once', async () => {
    const { path } = await twoAgents({ faults: '*.probe=drop' })
    const controller = new AbortController()
    const reason = new Error('enough')
    const probing = path.probe({ count: 100, timeoutMs: 10_000, signal: controller.signal })
    setTimeout(() => controller.abort(reason), 20)
    await expect(probing).rejects.toBe(reason)
    await expect(path.probe({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    expect(path.health.samples).toBe(0)
  })

  test('the bound of the series holds however many operations are left', async () => {
    const { path } = await twoAgents({ faults: '*.probe=drop' })
    const before = performance.now()
    const report = await path.probe({ count: 10_000, timeoutMs: 20, totalMs: 100 })
    expect(performance.now() - before).toBeLessThan(5000)
    expect(report).toMatchObject({ n: 0, failure: 'KVSEAM_TIMEOUT' })
    expect(report.timedOut).toBeGreaterThan(0)
    expect(report.timedOut).toBeLessThanOrEqual(6)
  })

  test('closing the agent ends a running probe with KVSEAM_CLOSED, and the seam leaves nothing registered', async () => {
    const before = binding().liveRegions()
    const { seam, path } = await twoAgents({ faults: '*.probe=drop' })
    const probing = path.probe({ timeoutMs: 60_000 })
    const outcome = expect(probing).rejects.toMatchObject({ code: 'KVSEAM_CLOSED' })
    await new Promise((resolve) => setTimeout(resolve, 20))
    await path.agent.close()
    await outcome
    await seam.close()
    await expect(path.probe()).rejects.toMatchObject({ code: 'KVSEAM_CLOSED' })
    expect(binding().liveRegions()).toBe(before)
  })

  test('a path whose peer is gone is refused', async () => {
    const { seam, path } = await twoAgents()
    await seam.agents.find((agent) => agent.name === 'prefill')!.close()
    await expect.poll(() => path.usable, { timeout: 10_000 }).toBe(false)
    await expect(path.probe()).rejects.toMatchObject({ code: 'KVSEAM_STALE_EPOCH', blame: 'peer' })
  })

  test('many probes at once on many paths all end', async () => {
    const { seam } = await twoAgents()
    const probing = [...seam.paths].flatMap((path) =>
      Array.from({ length: 40 }, (_, i) =>
        path.probe({ kind: (['rtt', 'read', 'write'] as const)[i % 3]!, bytes: 4096, count: 10 }),
      ),
    )
    for (const report of await Promise.all(probing)) expect(report).toMatchObject({ failed: 0, failure: null })
  })
})

describe('evidence', () => {
  test('a probe that is asked for tells the reference policy nothing, unless told to', async () => {
    const { path } = await twoAgents()
    await path.probe({ count: 5 })
    expect(path.health.samples).toBe(0)
    const report = await path.probe({ count: 5, observe: true })
    expect(path.health.samples).toBe(report.n)
  })

  test('bytes that flow against the path are no evidence about it', async () => {
    const { path } = await twoAgents()
    expect(path.mode).toBe('pull')
    await path.probe({ kind: 'write', count: 5, observe: true })
    expect(path.health.samples).toBe(0)
    await path.probe({ kind: 'read', count: 3, observe: true })
    expect(path.health.samples).toBeGreaterThan(0)
  })

  test('lost probes count with the time they could have taken', async () => {
    const { path } = await twoAgents({ faults: '*.probe=drop' })
    await path.probe({ count: 4, timeoutMs: 50, observe: true })
    expect(path.health).toMatchObject({ dropFraction: 1 })
    expect(path.health.p99Ms).toBeGreaterThanOrEqual(50)
  })
})
