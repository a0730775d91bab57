// The command from its arguments to its report, on the mock; the figures themselves are nobody's business here.

import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { BenchReport, CellFigures, PathFigures } from '../../src/bench/report.js'
import { benchCommand } from '../../src/cli/bench.js'
import { EXIT } from '../../src/cli/exit-code.js'
import { type FakeIo, fakeIo } from './fake-io.js'

const SHORT = ['--duration', '60ms', '--warmup', '10ms', '--rounds', '2', '--memory', '4MiB', '--peer', 'in-process']
const ONE_CELL = [...SHORT, '--block', '4KiB', '--batch', '4', '--window', '4']

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'kvseam-bench-'))
})
afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
})

async function bench(...argv: string[]): Promise<{ code: number; io: FakeIo; report: BenchReport }> {
  const io = fakeIo()
  const code = await benchCommand([...argv, '--json'], io)
  expect(io.out).toHaveLength(1)
  return { code, io, report: JSON.parse(io.out[0]!) as BenchReport }
}

function only<T>(items: readonly T[]): T {
  expect(items).toHaveLength(1)
  return items[0]!
}

function expectWhole(path: PathFigures, cell: CellFigures): void {
  const { p50Us, p90Us, p99Us, p999Us, maxUs } = path.latency
  expect([p50Us, p90Us, p99Us, p999Us, maxUs]).toEqual([p50Us, p90Us, p99Us, p999Us, maxUs].sort((a, b) => a - b))
  expect(path.transfers).toBeGreaterThan(0)
  expect(path.bytes).toBe(path.transfers * cell.transferBytes)
  expect(path.bytesPerSecond).toBeGreaterThan(0)
  expect(path.histogram.reduce((sum, [, samples]) => sum + samples, 0)).toBe(path.latency.samples)
  for (const part of ['prepare', 'post', 'transfer', 'notify'] as const) {
    expect(path.split[part].samples, part).toBeGreaterThan(0)
  }
  expect(path.verified.checked).toBeGreaterThan(0)
  expect(path.verified.mismatched).toBe(0)
}

describe('kvseam bench', () => {
  test('sweeps reads and writes over block and batch sizes and verifies what arrived', async () => {
    const { code, report } = await bench(...SHORT, '--block', '1KiB,4KiB', '--batch', '1,8', '--op', 'both')
    expect(code).toBe(EXIT.ok)
    expect(report).toMatchObject({ schema: 'kvseam.bench/1', label: 'mock', interrupted: false })
    expect(report.environment.node).toBe(process.version)
    expect(report.cells.map(({ operation, cell }) => `${operation} ${cell}`)).toEqual([
      'read 1KiB x 1',
      'read 1KiB x 8',
      'read 4KiB x 1',
      'read 4KiB x 8',
      'write 1KiB x 1',
      'write 1KiB x 8',
      'write 4KiB x 1',
      'write 4KiB x 8',
    ])
    for (const cell of report.cells) expectWhole(only(cell.paths), cell)
  })

  test('measures every path alone and all at once, with and without the policy', async () => {
    const { report } = await bench(...ONE_CELL, '--paths', '2', '--gate', 'both')
    expect(report.cells.map(({ arrangement, gate }) => `${arrangement} ${gate}`)).toEqual([
      'isolated off',
      'isolated on',
      'contended off',
      'contended on',
    ])
    for (const cell of report.cells) {
      expect(cell.paths.map(({ path }) => path)).toEqual(['far/rail0>near/rail0', 'far/rail1>near/rail1'])
      for (const path of cell.paths) expectWhole(path, cell)
    }
  })

  test('moves the KV shape of a model', async () => {
    const { report } = await bench(...SHORT, '--model', 'llama-3.1-8b', '--tokens', '16', '--tp', '8')
    const cell = only(report.cells)
    expect(cell).toMatchObject({ descriptors: 64, blockBytes: 4096, transferBytes: 64 * 4096 })
    expectWhole(only(cell.paths), cell)
  })

  test('runs the far end in a process of its own, and leaves none behind', { timeout: 60_000 }, async () => {
    const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
    const argv = [
      '--import',
      'tsx',
      main,
      'bench',
      ...ONE_CELL.map((word) => (word === 'in-process' ? 'process' : word)),
    ]
    const { stdout } = await promisify(execFile)(process.execPath, [...argv, '--op', 'both', '--json'], {
      timeout: 50_000,
    })
    const report = JSON.parse(stdout) as BenchReport
    expect(report.options.peer).toBe('process')
    for (const cell of report.cells) expectWhole(only(cell.paths), cell)
  })

  test('finds corrupted bytes and fails because of them', async () => {
    const { code, io, report } = await bench(...ONE_CELL, '--verify', 'each', '--faults', 'rail0.read=10%corrupt(1bit)')
    const { verified } = only(only(report.cells).paths)
    expect(verified.mismatched).toBeGreaterThan(0)
    expect(verified.mismatched).toBeLessThan(verified.checked)
    expect(code).toBe(EXIT.failure)
    expect(io.err.join('\n')).toMatch(/digests do not match/)
    expect(report.options.faults).toBe('seed=7;rail0.read=10%corrupt(1bit)')
  })

  test('counts injected failures by code and goes on', async () => {
    const { code, report } = await bench(...ONE_CELL, '--faults', 'rail0.read=20%error(remote_disconnect)')
    const path = only(only(report.cells).paths)
    expect(Object.values(path.failed).reduce((sum, count) => sum + count, 0)).toBeGreaterThan(0)
    expect(path.transfers).toBeGreaterThan(0)
    expect(code).toBe(EXIT.ok)
  })

  test('posts at a rate', async () => {
    const { report } = await bench(...ONE_CELL, '--rate', '100', '--duration', '200ms', '--rounds', '1')
    const path = only(only(report.cells).paths)
    expect(path.transfers + path.unposted).toBe(20)
  })

  test('prints CSV with a row a path and a column a figure', async () => {
    const io = fakeIo()
    expect(await benchCommand([...ONE_CELL, '--csv', '--paths', '2', '--load', 'contended'], io)).toBe(EXIT.ok)
    const [head, ...rows] = io.out
    const names = head!.split(',')
    expect(new Set(names).size).toBe(names.length)
    expect(rows).toHaveLength(2)
    for (const row of rows) expect(row.split(',')).toHaveLength(names.length)
    const column = (name: string) => rows.map((row) => row.split(',')[names.indexOf(name)])
    expect(column('path')).toEqual(['far/rail0>near/rail0', 'far/rail1>near/rail1'])
    expect(column('mismatched')).toEqual(['0', '0'])
  })

  test('writes one HTML file that loads nothing', async () => {
    const file = join(folder, 'report.html')
    await bench(...ONE_CELL, '--op', 'both', '--html', file)
    const html = readFileSync(file, 'utf8')
    expect(html.match(/<svg/g)!.length).toBeGreaterThanOrEqual(4)
    expect(html).not.toMatch(/NaN|Infinity|undefined/)
    expect(html).not.toMatch(/<script|<link|src=|href=|url\(|@import/)
    expect(html).toContain('far/rail0&#62;near/rail0')
  })

  test('compares with an earlier run and says by exit code when it is worse', async () => {
    const { report } = await bench(...ONE_CELL)
    const file = (name: string, rate: number): string => {
      const path = join(folder, name)
      const scaled = report.cells.map((cell) => ({
        ...cell,
        paths: cell.paths.map((each) => ({ ...each, bytesPerSecond: each.bytesPerSecond * rate })),
      }))
      writeFileSync(path, JSON.stringify({ ...report, cells: scaled }))
      return path
    }
    const against = (base: string) =>
      bench(...ONE_CELL, '--compare', base, '--compare-on', 'rate', '--max-regress', '50%')
    expect((await against(file('slow.json', 0.001))).code).toBe(EXIT.ok)
    const worse = await against(file('fast.json', 1000))
    expect(worse.code).toBe(EXIT.gateFailed)
    expect(worse.io.err.join('\n')).toMatch(/worse than .*fast\.json by more than 50%/)
  })

  test('reports what it has when it is interrupted', async () => {
    const io = { ...fakeIo(), signal: AbortSignal.timeout(300) }
    const code = await benchCommand([...ONE_CELL, '--duration', '60s', '--json'], io)
    expect(code).toBe(EXIT.interrupted)
    expect(JSON.parse(io.out[0]!)).toMatchObject({ interrupted: true, cells: [] })
  })

  test('prints a table for people, with the label and the machine', async () => {
    const io = fakeIo()
    expect(await benchCommand(ONE_CELL, io)).toBe(EXIT.ok)
    const text = io.out.join('\n')
    expect(text).toMatch(/read +4KiB x 4 +off +far\/rail0>near\/rail0/)
    expect(text).toMatch(/label mock/)
    expect(text).toMatch(/verified by CRC-32C/)
  })
})

describe('kvseam bench refuses', () => {
  const refused = async (...argv: string[]): Promise<unknown> => {
    try {
      await benchCommand(argv, fakeIo())
    } catch (error) {
      return error
    }
    throw new Error('it was accepted')
  }

  test.each([
    [['--json', '--csv'], 'KVSEAM_USAGE', /one of them/],
    [['--block', '4K'], 'KVSEAM_USAGE', /--block "4K"/],
    [['--batch', '0'], 'KVSEAM_USAGE', /--batch "0"/],
    [['--max-regress', 'much'], 'KVSEAM_USAGE', /--max-regress "much"/],
    [['--compare-on', 'p42'], 'KVSEAM_USAGE', /rate, p50, p99/],
    [['--op', 'scan'], 'KVSEAM_USAGE', /read, write, both/],
    [['--model', 'llama-3.1-70', ...SHORT], 'KVSEAM_INVALID_ARGUMENT', /llama-3\.1-70b/],
    [['--compare', '/nowhere/base.json'], 'KVSEAM_CONFIG_INVALID', /kvseam bench --json/],
    [[...SHORT, '--block', '8MiB'], 'KVSEAM_OUT_OF_BOUNDS', /raise --memory/],
    [[...SHORT, '--block', '4MiB', '--batch', '1', '--paths', '2'], 'KVSEAM_OUT_OF_BOUNDS', /2 paths/],
    [[...ONE_CELL, '--backend', 'carrier-pigeon'], 'KVSEAM_BACKEND_UNAVAILABLE', /carrier-pigeon/],
    [[...ONE_CELL, '--faults', 'rail0.read=explode()'], 'KVSEAM_FAULTS_SYNTAX', /explode/],
  ])('%j with a reason', async (argv, code, text) => {
    const error = await refused(...argv)
    expect(error).toMatchObject({ code })
    expect((error as Error).message).toMatch(text)
  })

  test('a base that is no report, or of another kind of transport', async () => {
    const file = join(folder, 'other.json')
    writeFileSync(file, '{"schema":"something/1"}')
    expect(await refused(...ONE_CELL, '--compare', file)).toMatchObject({ code: 'KVSEAM_CONFIG_INVALID' })
    const { report } = await bench(...ONE_CELL)
    writeFileSync(file, JSON.stringify({ ...report, label: 'real' }))
    expect(await refused(...ONE_CELL, '--compare', file)).toMatchObject({ code: 'KVSEAM_CONFIG_INVALID' })
    writeFileSync(file, JSON.stringify({ ...report, cells: [] }))
    expect(await refused(...ONE_CELL, '--compare', file)).toMatchObject({ code: 'KVSEAM_CONFIG_INVALID' })
  })
})
