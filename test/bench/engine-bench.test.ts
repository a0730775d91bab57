// Checks that the benchmark runs and reports what it says it does; the figures themselves are nobody's business here.

import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { effortOf, figure, median } from '../../bench/figure.js'
import type { BenchReport } from '../../bench/report.js'
import { interleaved } from '../../bench/rounds.js'

const BENCH = fileURLToPath(new URL('../../bench/run.ts', import.meta.url))
const LIMIT_MS = 90_000

async function bench(...options: string[]): Promise<{ stdout: string; stderr: string }> {
  return await promisify(execFile)(process.execPath, ['--import', 'tsx', BENCH, ...options], { timeout: LIMIT_MS })
}

describe('npm run bench', () => {
  test('reports every figure with machine, label, spread and target', { timeout: LIMIT_MS }, async () => {
    const { stdout } = await bench('--quick', '--only', 'descriptors', '--json')
    const report = JSON.parse(stdout) as BenchReport
    expect(report).toMatchObject({ schema: 'kvseam.bench-engine/1', label: 'mock', quick: true })
    expect(report.environment.cpus).toBeGreaterThan(0)
    expect(report.results.map(({ scenario }) => scenario)).toEqual(['descriptors'])
    const { figures } = report.results[0]!
    expect(new Set(figures.map(({ name }) => name)).size).toBe(figures.length)
    for (const each of figures) {
      expect(each.low, each.name).toBeLessThanOrEqual(each.value)
      expect(each.high, each.name).toBeGreaterThanOrEqual(each.value)
      expect(each.reached === null, each.name).toBe(each.target === null)
    }
    const prepared = figures.find(({ name }) => name === 'descriptors.prepare.uint32')
    expect(prepared).toMatchObject({ unit: 'ns', target: { atMost: 5 } })
    expect(prepared?.value).toBeGreaterThan(0)
  })

  test('counts nothing left after close()', { timeout: LIMIT_MS }, async () => {
    const { stdout } = await bench('--quick', '--only', 'leaks', '--json')
    const { results } = JSON.parse(stdout) as BenchReport
    const left = Object.fromEntries(results[0]!.figures.map(({ name, value }) => [name, value]))
    expect(left).toEqual({ 'leaks.regions': 0, 'leaks.descriptorLists': 0, 'leaks.threads': 0, 'leaks.files': 0 })
  })

  test('refuses a scenario that it does not have, with those it has', { timeout: LIMIT_MS }, async () => {
    await expect(bench('--only', 'bandwith')).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/did you mean "?bandwidth.*completions/),
    })
  })
})

describe('figures', () => {
  test('are medians with the extremes beside them', () => {
    expect(median([5, 1, 3])).toBe(3)
    expect(median([4, 1, 3, 2])).toBe(2.5)
    expect(figure('x', 'ns', [7, 3, 5], '')).toMatchObject({ value: 5, low: 3, high: 7, rounds: 3, reached: null })
  })

  test('reach a target on either side of it', () => {
    expect(figure('x', 'ns', [5], '', { atMost: 5 }).reached).toBe(true)
    expect(figure('x', 'ns', [5.1], '', { atMost: 5 }).reached).toBe(false)
    expect(figure('x', 'x', [3], '', { atLeast: 3 }).reached).toBe(true)
    expect(figure('x', 'x', [2.9], '', { atLeast: 3 }).reached).toBe(false)
  })

  test('of two sides come from rounds that alternate, after a warm-up of each that is not counted', async () => {
    const order: string[] = []
    const side = (name: string) => () => order.push(name)
    const samples = await interleaved({ a: side('a'), b: side('b') }, 2)
    expect(order).toEqual(['a', 'b', 'a', 'b', 'b', 'a'])
    expect(samples).toEqual({ a: [3, 6], b: [4, 5] })
  })

  test('take fewer rounds when they need not mean anything', () => {
    expect(effortOf(true, 7).rounds).toBeLessThan(effortOf(false, 7).rounds)
  })
})
