// The demo from end to end, as a user runs it: real processes, real bytes, a summary that adds up, a clean end.

import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { DemoSummary } from '../../src/demo/story.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const TIMEOUT_MS = 120_000

interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'kvseam-demo-test-'))
  onTestFinished(() => rmSync(made, { recursive: true, force: true }))
  return made
}

function demo(...args: string[]) {
  const log = join(folder(), 'decisions.jsonl')
  const child = spawn(process.execPath, ['--import', 'tsx', 'src/cli/main.ts', 'demo', '--log', log, ...args], {
    cwd: root,
    env: { ...process.env, NO_COLOR: '1', NODE_NO_WARNINGS: '1' },
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const text = { out: '', err: '' }
  const looking = new Set<() => void>()
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream].on('data', (chunk: Buffer) => {
      text[stream === 'stdout' ? 'out' : 'err'] += chunk
      for (const look of looking) look()
    })
  }
  const ended = new Promise<Ended>((resolve) => {
    child.on('close', (code) => resolve({ code, ...text }))
  })
  const said = (pattern: RegExp): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (pattern.test(text.out + text.err)) resolve()
      }
      looking.add(look)
      look()
      void ended.then(() => reject(new Error(`it ended without saying ${pattern}: ${text.out}${text.err}`)))
    })
  const records = (): {
    schema: string
    outcome: string
    chosen: string | null
    faulted: boolean
    candidates: unknown[]
  }[] =>
    readFileSync(log, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as never)
  return { child, ended, said, records }
}

/** Small blocks and few requests: what is checked is that everything adds up, not how fast this machine is. */
const SMALL = ['--duration', '2s', '--requests', '80', '--max-tokens', '1024', '--bytes-scale', '0.004']

function summaryOf({ code, out, err }: Ended): DemoSummary {
  expect(code, err).toBe(0)
  return JSON.parse(out) as DemoSummary
}

/** Every request ends in exactly one way, every permit is used for exactly one transfer or given back. */
function expectToAddUp(summary: DemoSummary): void {
  const classes = Object.values(summary.classes)
  const sum = (key: 'requests' | 'admitted' | 'rejected' | 'delivered' | 'failed'): number =>
    classes.reduce((total, each) => total + each[key], 0)
  expect(sum('requests')).toBe(summary.requests)
  expect(sum('delivered') + sum('rejected') + sum('failed')).toBe(summary.requests)
  expect(summary.verified).toBe(sum('delivered'))
  expect(summary.mismatched).toBe(0)
  const { minted, redeemed, revoked, expired } = summary.permits
  expect(minted).toBe(sum('admitted'))
  expect(redeemed + revoked + expired).toBe(minted)
  expect(summary.records.lost).toBe(0)
}

describe('kvseam demo', { timeout: TIMEOUT_MS }, () => {
  it('plays its own trace, verifies all digests, uses every permit once, and logs every decision', async () => {
    const run = demo('--json', '--no-fault', ...SMALL)
    const ended = await run.ended
    const summary = summaryOf(ended)
    expectToAddUp(summary)
    expect(summary).toMatchObject({
      schema: 'kvseam.demo/1',
      label: 'mock',
      interrupted: false,
      failures: {},
      fault: null,
    })
    expect(summary.verified).toBeGreaterThan(0)
    expect(summary.bytes).toBeGreaterThan(0)
    expect(summary.permits.redeemed).toBe(summary.permits.minted)
    const records = run.records()
    expect(records).toHaveLength(summary.records.written)
    const decisions = records.filter((record) => record.schema === 'kvseam.decision/1')
    expect(decisions).toHaveLength(summary.requests)
    expect(decisions.filter((decision) => decision.chosen !== null)).toHaveLength(summary.permits.minted)
    expect(decisions.every((decision) => decision.candidates.length > 0)).toBe(true)
    // Standard output carries the summary alone, the story goes beside it.
    expect(ended.out.trimEnd().split('\n')).toHaveLength(1)
    expect(ended.err).toContain('digests verified by the decode side')
  })

  it('with its own gray path delivers nothing wrong and tells the story', async () => {
    const summary = summaryOf(await demo('--json', ...SMALL).ended)
    expectToAddUp(summary)
    expect(summary.fault!.path).toMatch(/^prefill-0\/rail[01]>decode-[01]\/rail[01]$/)
    expect(summary.fault!.rule).toContain(`${summary.fault!.path}.write=delay(`)
    const decisions = Object.values(summary.fault!.decisions)
    expect(decisions.reduce((sum, each) => sum + each.chosen + each.welcome + each.refused, 0)).toBeGreaterThan(0)
  })

  it('turns the path gray that carries the most, also under the published rules', async () => {
    const run = demo('--json', '--profile', 'reference', ...SMALL)
    const summary = summaryOf(await run.ended)
    expectToAddUp(summary)
    const chosen = new Map<string, number>()
    for (const record of run.records()) {
      if (record.schema !== 'kvseam.decision/1' || record.faulted || record.chosen === null) continue
      chosen.set(record.chosen, (chosen.get(record.chosen) ?? 0) + 1)
    }
    expect(chosen.get(summary.fault!.path)).toBe(Math.max(...chosen.values()))
  })

  it('finds every corrupted block on the decode side', async () => {
    const { code, out } = await demo('--json', '--faults', 'seed=3;*.write=30%corrupt(1bit)', ...SMALL).ended
    const summary = JSON.parse(out) as DemoSummary
    expect(code).toBe(0)
    expect(summary.mismatched).toBeGreaterThan(0)
    expect(summary.failures).toMatchObject({ KVSEAM_INTEGRITY: summary.mismatched })
    expect(summary.verified + summary.mismatched).toBeLessThanOrEqual(summary.permits.redeemed)
  })

  it.each(['SIGINT', 'SIGTERM'] as const)('ends cleanly after %s, with its story', async (signal) => {
    // So many requests also show that the plan does not have to fit into an argument of a process.
    const { child, ended, said } = demo('--duration', '60s', '--requests', '3000', '--no-fault')
    await said(/\d+ verified/)
    const startedMs = performance.now()
    child.kill(signal)
    const { code, out } = await ended
    expect(code).toBe(signal === 'SIGINT' ? 130 : 143)
    expect(out).toContain(', interrupted')
    expect(performance.now() - startedMs).toBeLessThan(30_000)
  })

  it('plays a Mooncake trace', async () => {
    const file = join(folder(), 'mooncake.jsonl')
    const lines = Array.from({ length: 40 }, (_, i) =>
      JSON.stringify({ timestamp: i * 50, input_length: 100 + i, output_length: 10, hash_ids: [i] }),
    )
    writeFileSync(file, `${lines.join('\n')}\n`)
    const summary = summaryOf(await demo('--json', '--no-fault', '--trace', file, ...SMALL).ended)
    expect(summary.requests).toBe(40)
    expectToAddUp(summary)
  })

  it('plays an Azure trace', async () => {
    const file = join(folder(), 'azure.csv')
    const rows = Array.from(
      { length: 30 },
      (_, i) => `2023-11-16 18:00:${String(i).padStart(2, '0')}.0000000,${200 + i},20`,
    )
    writeFileSync(file, `TIMESTAMP,ContextTokens,GeneratedTokens\n${rows.join('\n')}\n`)
    const summary = summaryOf(await demo('--json', '--no-fault', '--trace', file, ...SMALL).ended)
    expect(summary.requests).toBe(30)
    expectToAddUp(summary)
  })

  it.each([
    ['{"timestamp": 0, "input_length": 5, "output_length": 1, "hash_ids": []}\n{"timestamp": 1, "inp', 'jsonl', ':2: '],
    ['{"timestamp": 0, "input_length": -5, "output_length": 1, "hash_ids": []}\n', 'jsonl', ':1: '],
    ['TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:00:00.0,many,20\n', 'csv', ':2: '],
  ])('refuses a malformed trace line and names it', async (text, kind, line) => {
    const file = join(folder(), `bad.${kind}`)
    writeFileSync(file, text)
    const { code, out, err } = await demo('--json', '--trace', file, ...SMALL).ended
    expect(code).toBe(1)
    expect(out).toBe('')
    expect(err).toContain('KVSEAM_TRACE_INVALID')
    expect(err).toContain(`${file}${line}`)
    expect(err).not.toContain('    at ')
  })

  it.each([
    [['--trace', '/nonexistent/trace.jsonl'], 1, '/nonexistent/trace.jsonl'],
    [['--model', 'llama-3.1-80b'], 1, 'llama-3.1-8b'],
    [['--duration', '5'], 2, '--duration'],
    [['--decodes', '0'], 2, '--decodes'],
    [['--faults', '*.wirte=drop'], 1, 'write'],
    [['--backend', 'ucxx'], 4, 'ucxx'],
  ])('refuses %j with what would be right', async (args, expected, text) => {
    const { code, err } = await demo(...args).ended
    expect(err).toContain(text)
    expect(code).toBe(expected)
  })
})
