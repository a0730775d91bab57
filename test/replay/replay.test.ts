// A recorded run comes out of the policy byte for byte, an edited one does not, and another configuration shows its diff.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { replayCommand } from '../../src/cli/replay.js'
import { fakeIo } from '../cli/fake-io.js'
import { recordedRun } from './recorded-run.js'

let folder: string
let file: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kvseam-replay-'))
  file = join(folder, 'records.jsonl')
})
afterEach(() => rmSync(folder, { recursive: true }))

/** A queued request has two: that it has to wait, and the answer. */
function decisionsIn(lines: readonly string[]): number {
  return lines.filter((line) => line.startsWith('{"schema":"kvseam.decision/1"')).length
}

function record(...runs: string[][]): void {
  writeFileSync(file, runs.map((lines) => `${lines.join('\n')}\n`).join(''))
}

async function replay(...options: string[]): Promise<{ code: number; lines: string[] }> {
  const io = fakeIo()
  const code = await replayCommand([file, ...options], io)
  return { code, lines: io.out }
}

describe('a recorded stream', () => {
  for (const profile of ['default', 'isolate', 'reference'] as const) {
    test(`of profile ${profile} comes out the same, byte for byte`, async () => {
      const lines = recordedRun(profile, 7, 2000)
      record(lines)
      const { code, lines: said } = await replay()
      expect(said[0]).toBe(
        `${decisionsIn(lines)} decisions replayed; ${lines.length} of ${lines.length} records came out byte for byte as recorded.`,
      )
      expect(code).toBe(0)
    })
  }

  test('holds every kind of record, so that the comparison means something', () => {
    const schemas = new Set(recordedRun('default', 7, 2000).map((line) => JSON.parse(line).schema))
    expect([...schemas].sort()).toEqual(
      [
        'config',
        'decision',
        'path',
        'pin',
        'release',
        'sample',
        'start',
        'surroundings',
        'tick',
        'ticks',
        'transition',
        'workload',
      ].map((name) => `kvseam.${name}/1`),
    )
  })

  test('is the same whatever the seed', { timeout: 60_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 2 ** 31 }), fc.integer({ min: 1, max: 120 }), async (seed, count) => {
        record(recordedRun('default', seed, count))
        expect((await replay()).code).toBe(0)
      }),
      { numRuns: 40, seed: 11 },
    )
  })

  test('of several lives is replayed life by life', async () => {
    record(recordedRun('isolate', 1, 50), recordedRun('reference', 2, 50))
    const { code, lines } = await replay()
    expect(lines[0]).toMatch(/^\d+ decisions replayed; (\d+) of \1 records/)
    expect(code).toBe(0)
  })

  test('in which one decision was edited no longer passes', async () => {
    const lines = recordedRun('default', 7, 100)
    const at = lines.findIndex((line) => line.includes('"verdict":"admitted"'))
    lines[at] = lines[at]!.replace('"verdict":"admitted"', '"verdict":"rejected"')
    record(lines)
    const { code, lines: said } = await replay()
    expect(code).toBe(3)
    expect(said.join('\n')).toContain(`The hash chain is broken at line ${at + 2}`)
    expect(said.join('\n')).toContain('First difference:')
  })

  test('shows which decisions another profile makes differently', async () => {
    const run = recordedRun('default', 7, 600)
    record(run)
    const { code, lines } = await replay('--profile', 'reference', '--differences', '1', '--json')
    const report = JSON.parse(lines[0]!)
    expect(code).toBe(0)
    // The published rules have no queue, so what was queued and answered is decided once.
    expect(report.decisions).toBeGreaterThanOrEqual(600)
    expect(report.differing).toBeGreaterThan(0)
    expect(report.differences).toHaveLength(1)
    const { recorded, replayed } = report.differences[0]
    expect(recorded.req.n).toBe(replayed.req.n)
    expect([recorded.profile, replayed.profile]).toEqual(['default', 'reference'])
    const total = Object.values<Record<string, number>>(report.verdicts).flatMap((row) => Object.values(row))
    expect(total.reduce((sum, count) => sum + count, 0)).toBe(report.decisions)
  })

  test('shows what a changed setting changes, and that an unchanged one changes nothing', async () => {
    record(recordedRun('default', 7, 600))
    const changed = JSON.parse((await replay('--set', 'deadlineMargin=0.9', '--json')).lines[0]!)
    expect(changed.differing).toBeGreaterThan(0)
    const same = JSON.parse((await replay('--set', 'seed=7', '--json')).lines[0]!)
    expect(same.differing).toBe(0)
  })

  test('without its beginning is refused with the line', async () => {
    record(recordedRun('default', 7, 20).slice(1))
    await expect(replay()).rejects.toMatchObject({ code: 'KVSEAM_RECORD_LOG', facts: { line: 1 } })
  })

  test('is not replayed with a misspelt setting, a bad value, or settings for the published rules', async () => {
    record(recordedRun('default', 7, 20))
    await expect(replay('--set', 'upUsabel=0.4')).rejects.toThrow(/there is no such setting.*upUsable/)
    await expect(replay('--set', 'upUsable=4')).rejects.toThrow(/--set\.upUsable is 4; it must be a number from 0 to 1/)
    await expect(replay('--profile', 'reference', '--set', 'upUsable=0.4')).rejects.toThrow(/have no settings/)
  })
})
