// A small chaos run holds, is the same for the same seed, and its oracle would see what it looks for.

import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { openSeam } from '../../src/index.js'
import { BLOCK_BYTES, GuardedBlocks } from './blocks.js'
import { planRound } from './plan.js'
import { ChaosTally } from './tally.js'

const root = fileURLToPath(new URL('../..', import.meta.url))

function chaos(seed: number, transfers: number) {
  const args = [
    '--import',
    'tsx',
    'test/chaos/run.ts',
    '--seed',
    String(seed),
    '--transfers',
    String(transfers),
    '--json',
  ]
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: root,
    encoding: 'utf8',
    timeout: 110_000,
  })
  expect(status, stderr + stdout).toBe(0)
  return JSON.parse(stdout) as Record<string, number> & { faults: string; problems: string[] }
}

describe('a chaos run', () => {
  it('loses, garbles and leaks nothing, and the same seed fires the same faults', () => {
    const first = chaos(11, 4000)
    expect(first).toMatchObject({ transfers: 4000, lost: 0, wrong: 0, leaked: 0, problems: [], cuts: 1 })
    expect(first['firings']).toBeGreaterThan(200)
    expect(first['caught']).toBeGreaterThan(0)
    expect(chaos(11, 4000).faults).toBe(first.faults)
  }, 240_000)

  it('has a plan that follows from its seed and from nothing else', () => {
    const paths = ['a/r0>b/r0', 'b/r0>a/r0']
    expect(planRound(3, 4, paths, ['p/r0>a/r0'])).toEqual(planRound(3, 4, paths, ['p/r0>a/r0']))
    expect(planRound(3, 4, paths, [])).not.toEqual(planRound(3, 5, paths, []))
    expect(planRound(4, 4, paths, [])).not.toEqual(planRound(3, 4, paths, []))
    expect(planRound(3, 7, paths, []).kind).toBe('kill')
  })

  it('is armed only with rules that the parser takes', async () => {
    const seam = await openSeam()
    onTestFinished(() => seam.close())
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    onTestFinished(() => warned.mockRestore())
    for (let round = 0; round < 200; round++) seam.faults.arm(planRound(1, round, ['a/r0>b/r0'], []).spec).disarm()
  })
})

describe('its oracle', () => {
  it('sees one wrong byte, a touched canary and a block that did not come back', async () => {
    const seam = await openSeam()
    onTestFinished(() => seam.close())
    const agent = await seam.agent('a')
    const blocks = new GuardedBlocks(agent.allocate(16 * BLOCK_BYTES, { name: 'in' }))
    const taken = blocks.take(3)!
    expect(taken).toEqual([0, 2, 4])
    blocks.fill(77, taken)
    expect(blocks.holds(77, taken)).toBe(true)
    expect(blocks.holds(78, taken)).toBe(false)
    blocks.region.view()[4 * BLOCK_BYTES + 99]! ^= 1
    expect(blocks.holds(77, taken)).toBe(false)
    expect(blocks.damage()).toEqual({ canaries: 0, missing: 3 })
    blocks.region.view()[3 * BLOCK_BYTES]! ^= 1
    blocks.giveBack(taken)
    expect(blocks.damage()).toEqual({ canaries: 1, missing: 0 })
    expect(blocks.take(9)).toBeNull()
  })

  it('tells faults apart by every part of them, and not by their order', () => {
    const firing = { rule: 1, step: 1, path: 'p', op: 'read', seq: 1, action: 'drop', value: 0 }
    const digest = (...firings: (typeof firing)[]): string => {
      const tally = new ChaosTally()
      tally.fired(0, firings)
      return tally.faultsDigest()
    }
    const other = { ...firing, seq: 2 }
    expect(digest(firing, other)).toBe(digest(other, firing))
    for (const change of [
      { rule: 2 },
      { step: 2 },
      { path: 'q' },
      { op: 'write' },
      { seq: 3 },
      { action: 'lose' },
      { value: 1 },
    ]) {
      expect(digest({ ...firing, ...change })).not.toBe(digest(firing))
    }
  })
})
