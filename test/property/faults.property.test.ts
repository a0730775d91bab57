// I31: the same seed gives the same firings for each path and operation, whatever else happens and in whatever order.

import fc from 'fast-check'
import { expect, it, vi } from 'vitest'
import { openSeam } from '../../src/index.js'
import { OPERATION } from '../../src/native/binding.js'
import { permitNumber } from '../../src/permit.js'
import { backendOptions } from '../backend.js'

const BLOCK = 512

/** One operation of the plan: on which rail, in which direction, how many blocks. */
interface Step {
  readonly rail: 0 | 1
  readonly back: boolean
  readonly blocks: number
}

const steps = fc.array(
  fc.record({
    rail: fc.constantFrom(0 as const, 1 as const),
    back: fc.boolean(),
    blocks: fc.integer({ min: 1, max: 4 }),
  }),
  { minLength: 10, maxLength: 60 },
)

const RULES =
  '*=30%delay(exp(20us));rail0=10%error(timeout)->15%dup;*.read=20%corrupt(2bits){min=1KiB};rail1=3*late(50us)->5%lose'

/** Runs the plan, `window` at a time, and returns the firings of each path in their order. */
async function firings(seed: number, plan: readonly Step[], window: number): Promise<Map<string, string[]>> {
  const seam = await openSeam({ ...backendOptions, profile: 'reference', sessionsPerPath: 10_000 })
  try {
    const agents = [await seam.agent('prefill-0'), await seam.agent('decode-0')] as const
    const regions = agents.map((agent) => agent.allocate(4 * plan.length * BLOCK, { name: 'kv' }))
    using armed = seam.faults.arm(`seed=${seed};${RULES}`)
    const run = async ({ rail, back, blocks }: Step, place: number): Promise<void> => {
      const [from, to] = back ? [1, 0] : [0, 1]
      const path = seam.paths.get(`${agents[from]!.name}/rail${rail}>${agents[to]!.name}/rail${rail}`)!
      const decision = seam.policy.decide({
        workload: 'batch',
        bytes: blocks * BLOCK,
        from: path.from,
        to: [path.to],
        exclude: [`${path.from}/rail${1 - rail}>${path.to}/rail${1 - rail}`],
      })
      if (decision.outcome !== 'admitted') throw new Error(decision.record.reason)
      const ids = Array.from({ length: blocks }, (_, i) => 4 * place + i)
      const transfer = path.agent.post({
        permit: permitNumber(decision.permit),
        path: path.nativeIndex,
        operation: OPERATION.read,
        local: regions[to]!.blocks(BLOCK, ids),
        remote: regions[from]!.blocks(BLOCK, ids),
        timeoutMs: 40,
      })
      await transfer.settled.catch(() => {})
      seam.policy.release(decision.lease)
    }
    for (let i = 0; i < plan.length; i += window) {
      await Promise.all(plan.slice(i, i + window).map((step, j) => run(step, i + j)))
    }
    const byPath = new Map<string, string[]>()
    for (const { path, op, rule, step, seq, action, value } of armed.firings) {
      const key = `${path} ${op}`
      byPath.set(key, [...(byPath.get(key) ?? []), `${seq}: ${rule}.${step} ${action} ${value}`])
    }
    return byPath
  } finally {
    await seam.close()
  }
}

it('fires the same on each path whatever the order of paths and however many are in flight', async () => {
  vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: 2 ** 31 }),
      steps,
      fc.integer({ min: 2, max: 16 }),
      async (seed, plan, window) => {
        const inOrder = await firings(seed, plan, 1)
        // Another interleaving: all of one path, then all of the next, many at once; each path's own order is kept.
        const byPath = [...plan].sort((a, b) => a.rail * 2 + Number(a.back) - b.rail * 2 - Number(b.back))
        expect(await firings(seed, byPath, window)).toEqual(inOrder)
      },
    ),
    { numRuns: 40 },
  )
}, 60_000)

it('fires differently for another seed', async () => {
  vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
  const plan: Step[] = Array.from({ length: 40 }, (_, i) => ({ rail: i % 2 === 0 ? 0 : 1, back: false, blocks: 4 }))
  expect(await firings(1, plan, 8)).not.toEqual(await firings(2, plan, 8))
})
