// What one gated transfer of next to nothing costs, and how much of that is the gate and the crossing into native code.

import type { Admitted } from '../../src/decision.js'
import { openSeam, type Seam } from '../../src/seam.js'
import { type Effort, type Figure, figure, type Scenario } from '../figure.js'
import { Pair } from '../pair.js'
import { elapsedNs, interleaved } from '../rounds.js'
import { mainThreadCpuNs } from '../thread-cpu.js'

const NOOP_BYTES = 64
const SESSIONS = 4096

export const gate: Scenario = {
  name: 'gate',
  title: 'A gated transfer of 64 bytes: decision, permit, post, settled promise',
  async run(effort) {
    const seam = await openSeam({ backend: 'mock', sessionsPerPath: SESSIONS })
    const pair = await Pair.open()
    try {
      return await measure(seam, pair, effort)
    } finally {
      await pair.close()
      await seam.close()
    }
  },
}

async function measure(seam: Seam, pair: Pair, effort: Effort): Promise<Figure[]> {
  const gated = await gatedTransfer(seam)
  const one = Uint32Array.of(0)
  const lists = pair.lists('noop', NOOP_BYTES, one, one)
  const bare = async (): Promise<void> => {
    await pair.post(lists, pair.mint(NOOP_BYTES)).settled
  }
  const alone = effort.quick ? 500 : 5_000
  const many = effort.quick ? 3_200 : 64_000
  const cpu = { gated: [] as number[], bare: [] as number[] }
  const costOf = (side: 'gated' | 'bare', transfer: () => Promise<void>) => async (): Promise<number> => {
    const before = mainThreadCpuNs()
    await inLanes(32, many, transfer)
    const ns = (mainThreadCpuNs() - before) / many
    cpu[side].push(ns)
    return ns
  }
  const latency = await interleaved(
    {
      gated: () => meanNs(alone, gated),
      bare: () => meanNs(alone, bare),
    },
    effort.rounds,
  )
  const decide = await interleaved({ decide: () => decideNs(seam, alone) }, effort.rounds)
  const cost = await interleaved({ gated: costOf('gated', gated), bare: costOf('bare', bare) }, effort.rounds)
  const gateOnly = cost.gated.map((ns, round) => ns - cost.bare[round]!)
  return [
    figure(
      'gate.latency.gated',
      'ns',
      latency.gated,
      'one at a time, submit to settled promise, a sleeping thread woken twice',
    ),
    figure('gate.latency.bare', 'ns', latency.bare, 'the same without policy: permit minted by hand'),
    figure(
      'gate.cpu.total',
      'ns',
      cost.gated,
      'gate and crossing: CPU time of the JavaScript thread a gated transfer, window 32',
      {
        atMost: 3_000,
      },
    ),
    figure('gate.cpu.crossing', 'ns', cost.bare, 'the crossing in it: mint, post, drain, promise'),
    figure('gate.cpu.gate', 'ns', gateOnly, 'the gate in it: decision, lease, sample, record kept for a look'),
    figure('gate.decide', 'ns', decide.decide, 'policy.decide() with its permit, one candidate, given back unused'),
  ]
}

async function gatedTransfer(seam: Seam): Promise<() => Promise<void>> {
  const source = await seam.agent('prefill-0')
  const reader = await seam.agent('decode-0')
  const from = source.allocate(4096).blocks(NOOP_BYTES, [0])
  const to = reader.allocate(4096).blocks(NOOP_BYTES, [0])
  return async () => {
    const { quiesced } = await seam.handoff({ from, to, workload: 'batch', verify: 'off' })
    await quiesced
  }
}

/** Decides and abandons: the decision alone, without a transfer. */
function decideNs(seam: Seam, count: number): number {
  const start = process.hrtime.bigint()
  for (let i = 0; i < count; i++) {
    const decision = seam.policy.decide({ workload: 'batch', bytes: NOOP_BYTES, from: 'prefill-0' })
    seam.policy.abandon(decision as Admitted)
  }
  return elapsedNs(start) / count
}

async function meanNs(count: number, transfer: () => Promise<void>): Promise<number> {
  const start = process.hrtime.bigint()
  for (let i = 0; i < count; i++) await transfer()
  return elapsedNs(start) / count
}

async function inLanes(window: number, count: number, transfer: () => Promise<void>): Promise<void> {
  let left = count
  const lane = async (): Promise<void> => {
    while (left > 0) {
      left--
      await transfer()
    }
  }
  await Promise.all(Array.from({ length: window }, lane))
}
