// The probe command as a process with its own processes: tables, records, faults, exit codes, interruption.

import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { probeCommand } from '../../src/cli/probe.js'
import { type ProbedPath, probeTable } from '../../src/cli/probe-table.js'
import { paint } from '../../src/cli/text.js'
import type { ProbeRecord, ProbeReport } from '../../src/index.js'
import { fakeIo } from './fake-io.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const QUICK = ['--count', '3', '--timeout', '2s']

interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

function start(args: readonly string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, ['--import', 'tsx', 'src/cli/main.ts', 'probe', ...args], {
    cwd: root,
    env: { ...process.env, NO_COLOR: '1', NODE_NO_WARNINGS: '1', ...env },
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  let out = ''
  let err = ''
  const printed = new Promise<void>((resolve) => {
    child.stdout.on('data', (data) => {
      out += data
      if (out.includes('decode-0/rail1')) resolve()
    })
  })
  child.stderr.on('data', (data) => {
    err += data
  })
  const ended = new Promise<Ended>((resolve) => child.on('close', (code) => resolve({ code, out, err })))
  return { child, printed, ended }
}

const records = (out: string): ProbeRecord[] =>
  out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as ProbeRecord)

describe('kvseam probe', () => {
  test('measures every path, both ways, and says whose figures they are', async () => {
    const { code, out } = await start(QUICK).ended
    expect(code).toBe(0)
    const [header, columns, ...rows] = out.trim().split('\n')
    expect(header).toMatch(/backend mock .* figures are mock; 4 paths/)
    expect(columns).toMatch(/^path +state +rtt p50 +p99 +jitter +read p50 +p99 +rate +write p50 +p99 +rate +lost$/)
    expect(rows.map((row) => row.split(' ')[0])).toEqual([
      'decode-0/rail0>prefill-0/rail0',
      'decode-0/rail1>prefill-0/rail1',
      'prefill-0/rail0>decode-0/rail0',
      'prefill-0/rail1>decode-0/rail1',
    ])
    for (const row of rows) expect(row).toMatch(/ 0\/9$/)
  })

  test('prints one record a series with --json and nothing else on standard output', async () => {
    const { code, out } = await start([...QUICK, '--json', '--path', 'prefill-0/rail1>decode-0/rail1']).ended
    expect(code).toBe(0)
    expect(records(out).map(({ schema, path, kind, label }) => [schema, path, kind, label])).toEqual(
      ['rtt', 'read', 'write'].map((kind) => ['kvseam.probe/1', 'prefill-0/rail1>decode-0/rail1', kind, 'mock']),
    )
  })

  test('shows what KVSEAM_FAULTS does to probes, on the rail that it names', async () => {
    const { code, out } = await start([...QUICK, '--kind', 'rtt', '--json'], {
      KVSEAM_FAULTS: 'rail0.probe=delay(40ms)',
    }).ended
    expect(code).toBe(0)
    for (const { path, minNs, faulted } of records(out)) {
      expect(faulted).toBe(true)
      if (path.includes('rail0')) expect(minNs!).toBeGreaterThanOrEqual(40e6)
      else expect(minNs!).toBeLessThan(40e6)
    }
  })

  test('ends with 3 when a path lost an operation, and says which and why', async () => {
    const { code, out } = await start([
      '--count',
      '2',
      '--timeout',
      '20ms',
      '--kind',
      'rtt',
      '--faults',
      'rail1.probe=drop',
    ]).ended
    expect(code).toBe(3)
    const rows = out.trim().split('\n').slice(2)
    for (const row of rows) expect(row.endsWith(row.includes('rail1') ? '2/2 KVSEAM_TIMEOUT' : '0/2')).toBe(true)
  })

  test('ends with 2 for a path that is not there and names those that are', async () => {
    const { code, out, err } = await start([...QUICK, '--path', 'rail9']).ended
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(err).toContain('prefill-0/rail1>decode-0/rail1')
  })

  test('ends with 4 when the backend is missing', async () => {
    const { code, err } = await start(['--backend', 'nosuch']).ended
    expect(code).toBe(4)
    expect(err).toContain('KVSEAM_BACKEND_UNAVAILABLE')
  })

  test('goes on with --watch until its rounds are over', async () => {
    const { code, out } = await start([...QUICK, '--watch', '--rounds', '3', '--interval', '1ms', '--kind', 'rtt'])
      .ended
    expect(code).toBe(0)
    expect(out.match(/^path/gm)).toHaveLength(3)
  })

  test('ends with 130 on Ctrl-C, and its processes with it', async () => {
    const { child, printed, ended } = start([...QUICK, '--watch', '--interval', '1ms'])
    await printed
    child.kill('SIGINT')
    expect((await ended).code).toBe(130)
  })
})

describe('without a process', () => {
  test('help has examples', async () => {
    const io = fakeIo()
    expect(await probeCommand(['--help'], io)).toBe(0)
    expect(io.out.join('\n')).toContain("KVSEAM_FAULTS='rail0.probe=delay(5ms)' kvseam probe")
  })

  test.each([
    [['--kind', 'ping'], 'none of all, rtt, read, write'],
    [['--kind', 'rtt', '--bytes', '8KiB'], 'at most 4096 bytes'],
    [['--bytes', '5MiB'], 'out of range'],
    [['--count', '0'], 'out of range'],
    [['--pth', 'x'], 'did you mean --path'],
  ])('%j is a usage error', async (argv, text) => {
    await expect(probeCommand(argv, fakeIo())).rejects.toMatchObject({
      code: 'KVSEAM_USAGE',
      message: expect.stringContaining(text),
    })
  })

  test('a path without a single answer shows dashes, not zeros', () => {
    const report = {
      count: 4,
      n: 0,
      selfDelayed: 0,
      p50Ns: null,
      p99Ns: null,
      jitterNs: null,
      failure: 'KVSEAM_TIMEOUT',
    }
    const row: ProbedPath = { path: 'a>b', state: 'healthy', reports: { rtt: report as ProbeReport } }
    const lines = probeTable([row], ['rtt'], paint(fakeIo()))
    expect(lines[1]).toMatch(/^a>b +healthy +- +- +- +4\/4 KVSEAM_TIMEOUT$/)
  })
})
