// Probing in the background over live agents: who is probed, what it teaches the policy, and when it is off.

import { afterEach, describe, expect, test } from 'vitest'
import { openSeam, type Path, type ProbeRecord, type Seam, type SeamOptions } from '../../src/index.js'
import { probeChannel } from '../../src/observe/channels.js'
import type { ProbeDue } from '../../src/policy/policy.js'
import { PROBE_RULES } from '../../src/policy/probe-schedule.js'
import { backgroundRules } from '../../src/probe/background-options.js'
import { BackgroundProbes } from '../../src/probe/background-probes.js'

const open: Seam[] = []

afterEach(async () => {
  for (const seam of open.splice(0)) await seam.close()
})

async function pair(options: SeamOptions): Promise<{ seam: Seam; path: Path }> {
  const seam = await openSeam({ profile: 'reference', ...options })
  open.push(seam)
  const rails = [{ name: 'rail0', bytesPerSecond: 10e9 }]
  await seam.agent('prefill', { rails })
  await seam.agent('decode', { rails })
  return { seam, path: seam.paths.get('prefill/rail0>decode/rail0')! }
}

/** Three terrible samples isolate a path under the published rules. */
function isolate(seam: Seam, path: Path): void {
  for (let i = 0; i < 4; i++) seam.policy.observe({ path: path.id, outcome: 'timeout', totalUs: 500_000, bytes: 1024 })
  expect(path.state).toBe('quarantine_candidate')
}

describe('under the reference profile', () => {
  test('nothing is probed unless it is asked for', async () => {
    const { seam, path } = await pair({})
    expect(seam.policy.counters.probes).toBeNull()
    await new Promise((resolve) => setTimeout(resolve, 600))
    expect(path.probes()).toEqual([])
    expect(path.agent.counters.probes).toBe(0)
  })

  test('a healthy idle path is measured, and the policy takes nothing from it', async () => {
    const { seam, path } = await pair({ probes: {} })
    await expect.poll(() => path.probes().length, { timeout: 10_000 }).toBeGreaterThan(0)
    expect(path.probes()[0]).toMatchObject({ kind: 'read', bytes: 65_536, count: 1 })
    expect(path.health.samples).toBe(0)
    expect(seam.policy.counters.probes).toMatchObject({ failed: 0 })
    expect(seam.policy.counters.probes!.started).toBeGreaterThan(0)
  })

  test('an isolated path that is well again is let back in, which the published rules alone never do', async () => {
    const { seam, path } = await pair({ probes: {} })
    isolate(seam, path)
    const records: ProbeRecord[] = []
    const listen = (record: unknown): void => void records.push(record as ProbeRecord)
    probeChannel.subscribe(listen)
    try {
      // How far depends on how evenly this machine answers; what counts is that it may carry something again.
      await expect
        .poll(() => path.state, { timeout: 25_000 })
        .toMatch(/^(restored|degraded_usable|degraded_restricted)$/)
    } finally {
      probeChannel.unsubscribe(listen)
    }
    expect(records.some((record) => record.path === path.id && record.cause === 'verify' && record.observed)).toBe(true)
  })

  test('an isolated path that is still bad stays out', async () => {
    const { seam, path } = await pair({ probes: { timeoutMs: 50 }, faults: '*.probe=drop' })
    isolate(seam, path)
    await expect.poll(() => path.probes().length, { timeout: 10_000 }).toBeGreaterThan(4)
    expect(path.state).toBe('quarantine_candidate')
  })
})

describe('for a policy that names its own probes', () => {
  function background(): {
    probes: BackgroundProbes
    ran: { bytes: number; kind: string; cause: string }[]
    path: Path
  } {
    const ran: { bytes: number; kind: string; cause: string }[] = []
    const probes = new BackgroundProbes({
      rules: { ...PROBE_RULES, burstProbes: 2 },
      scheduled: false,
      clockUs: () => 0,
      run: async (_, { bytes, kind }, cause) => void ran.push({ bytes: bytes!, kind: kind!, cause }),
    })
    const path = {
      from: 'a',
      mode: 'push',
      riskGroups: [],
      usable: true,
      sourceBytesPerSecond: 10e9,
    } as unknown as Path
    probes.add(path, 0)
    return { probes, ran, path }
  }
  const due: ProbeDue = { path: 7, bytes: 65_536, timeoutUs: 500_000, reason: 'recover' }

  test('they are run as asked, in the direction of the path', () => {
    const { probes, ran, path } = background()
    const asked: number[] = []
    const pathOf = (index: number): Path => {
      asked.push(index)
      return path
    }
    probes.tick([due], pathOf, 0)
    expect(asked).toEqual([7])
    expect(ran).toEqual([{ bytes: 65_536, kind: 'write', cause: 'recover' }])
  })

  test('what is above the budget of the source is skipped and counted', () => {
    const { probes, ran, path } = background()
    probes.tick([due, due, due, due], () => path, 0)
    expect(ran).toHaveLength(2)
    expect(probes.counters).toEqual({ started: 2, skipped: 2, failed: 0 })
  })

  test('a path that is gone is not probed', () => {
    const { probes, ran, path } = background()
    probes.tick([due], () => ({ ...path, usable: false }) as Path, 0)
    expect(ran).toEqual([])
  })
})

describe('the options', () => {
  test('are off by default for reference alone', () => {
    expect(backgroundRules(undefined, 'reference')).toBeUndefined()
    expect(backgroundRules('off', 'default')).toBeUndefined()
    expect(backgroundRules(undefined, 'default')).toEqual(PROBE_RULES)
    expect(backgroundRules({ idleMs: 100 }, 'reference')).toMatchObject({ idleUs: 100_000 })
  })

  test.each([
    [{ probes: 'on' }, 'KVSEAM_CONFIG_INVALID'],
    [{ probes: { idle: 5 } }, 'KVSEAM_CONFIG_INVALID'],
    [{ probes: { byteShare: 0 } }, 'KVSEAM_OUT_OF_BOUNDS'],
    [{ probes: { byteShare: 1.5 } }, 'KVSEAM_OUT_OF_BOUNDS'],
    [{ probes: { largeBytes: 2 ** 23 } }, 'KVSEAM_OUT_OF_BOUNDS'],
    [{ probes: { smallBytes: 2000, largeBytes: 1000 } }, 'KVSEAM_OUT_OF_BOUNDS'],
    [{ probes: { timeoutMs: '1' } }, 'KVSEAM_INVALID_ARGUMENT'],
  ])('%j is refused', async (options, code) => {
    await expect(openSeam(options as never)).rejects.toMatchObject({ code })
  })
})
