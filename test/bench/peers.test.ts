// kvseam beside native peers. They are compiled here where there is a C compiler; without one the tests that need them skip.

import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, type TestContext, test } from 'vitest'
import { CONTESTANTS, usualContestants } from '../../src/bench/contestants.js'
import type { PeersReport } from '../../src/bench/peers.js'
import { benchPeersCommand } from '../../src/cli/bench-peers.js'
import { EXIT } from '../../src/cli/exit-code.js'
import { fakeIo } from '../cli/fake-io.js'

const LIMIT_MS = 60_000
const SHORT = [
  '--peer',
  'in-process',
  '--memory',
  '4MiB',
  '--rounds',
  '2',
  '--duration',
  '80ms',
  '--block',
  '4KiB',
  '--batch',
  '8',
]
const path = process.env['PATH']

afterEach(() => {
  if (path !== undefined) process.env['PATH'] = path
})

function build(context: TestContext): void {
  const script = fileURLToPath(new URL('../../scripts/build-bench-peers.mjs', import.meta.url))
  const { status, stderr } = spawnSync(process.execPath, [script], { encoding: 'utf8' })
  if (status !== 0 && /cannot be run/.test(stderr)) context.skip(`no C compiler: ${stderr.trim()}`)
  expect(stderr).not.toMatch(/error:/)
}

async function peers(...argv: string[]): Promise<PeersReport> {
  const io = fakeIo()
  expect(await benchPeersCommand([...SHORT, ...argv, '--json'], io)).toBe(EXIT.ok)
  return JSON.parse(io.out[0]!) as PeersReport
}

describe('kvseam bench peers', () => {
  test('moves the same blocks as memcpy and a TCP stream and gives ratios', { timeout: LIMIT_MS }, async (context) => {
    build(context)
    const report = await peers('--with', 'memcpy,tcp')
    expect(report).toMatchObject({ schema: 'kvseam.bench-peers/1', label: 'mock', absent: [] })
    expect(report.rows.map(({ name }) => name)).toEqual(['kvseam', 'memcpy', 'tcp'])
    for (const row of report.rows) {
      expect(row.low).toBeGreaterThan(0)
      expect(row.bytesPerSecond).toBeGreaterThanOrEqual(row.low)
      expect(row.bytesPerSecond).toBeLessThanOrEqual(row.high)
      expect(row.ratio === null).toBe(row.name === 'kvseam')
    }
  })

  test('goes on without a tool that is not installed, and says so', { timeout: LIMIT_MS }, async () => {
    process.env['PATH'] = '/nowhere'
    const report = await peers('--with', 'fi-pingpong')
    expect(report.rows.map(({ name }) => name)).toEqual(['kvseam'])
    expect(report.absent).toEqual([{ name: 'fi-pingpong', reason: expect.stringMatching(/fi_pingpong cannot be run/) }])
  })

  test('refuses a peer that it does not know', async () => {
    await expect(benchPeersCommand(['--with', 'pigeon'], fakeIo())).rejects.toMatchObject({
      code: 'KVSEAM_USAGE',
      message: expect.stringMatching(/ucx-put/),
    })
  })

  test('has peers of the same transport for every backend', () => {
    expect(usualContestants('mock')).toContain('memcpy')
    expect(usualContestants('ucx')).toEqual(expect.arrayContaining(['ucx-put', 'ucx-get']))
    for (const backend of ['mock', 'ucx', 'libfabric', 'nixl']) {
      for (const name of usualContestants(backend)) expect(CONTESTANTS[name].name).toBe(name)
    }
  })
})
