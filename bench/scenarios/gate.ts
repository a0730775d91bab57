// What one gated transfer of next to nothing costs, and how much of that is the gate and the crossing into native code.

import type { Admitted } from '../../src/decision.js'
import { openSeam, type Seam } from '../../src/seam.js'
import { type Effort, type Figure, figure, type Scenario } from '../figure.js'
import { Pair } from '../pair.js'
import { elapsedNs, interleaved } from '../rounds.js'
import { mainThreadCpuNs } from '../thread-cpu.js'

const NOOP_BYTES = 64
const SESSIONS = 4096
const WINDOW = 32

export const gate: Scenario = {
  name: 'gate',
  title: 'A gated transfer of 64 bytes: decision, permit, post, settled promise',
  async run(effort) {
    const seam = await openSeam({ backend: 'mock', sessionsPerPath: SESSIONS })
    const published = await openSeam({ backend: 'mock', sessionsPerPath: SESSIONS, profile: 'reference' })
    const pair = await Pair.open()
    try {
      return await measure(seam, published, pair, effort)
    } finally {
      await pair.close()
      await published.close()
      await seam.close()
    }
  },
}

async function measure(seam: Seam, published: Seam, pair: Pair, effort: Effort): Promise<Figure[]> {
  const gated = await gatedTransfer(seam)
  const reference = await gatedTransfer(published)
  const lists = pair.apart('noop', NOOP_BYTES, WINDOW)
  const bare = async (lane: number): Promise<void> => {
    await pair.post(lists[lane]!, pair.mint(NOOP_BYTES)).settled
  }
  const alone = effort.quick ? 500 : 5_000
  const many = effort.quick ? 3_200 : 64_000
  const costOf = (transfer: Transfer) => async (): Promise<number> => {
    const before = mainThreadCpuNs()
    await inLanes(WINDOW, many, transfer)
    return (mainThreadCpuNs() - before) / many
  }
  const latency = await interleaved(
    { gated: () => meanNs(alone, gated), bare: () => meanNs(alone, bare) },
    effort.rounds,
  )
  const decide = await interleaved({ decide: () => decideNs(seam, alone) }, effort.rounds)
  const cost = await interleaved(
    { gated: costOf(gated), reference: costOf(reference), bare: costOf(bare) },
    effort.rounds,
  )
  const gateOnly = cost.gated.map((ns, round) => ns - cost.bare[round]!)
  const target = { atMost: 3_000 }
  return [
    figure('gate.latency.gated', 'ns', latency.gated, 'one at a time, submit to settled promise, default profile'),
    figure('gate.latency.bare', 'ns', latency.bare, 'the same without policy: permit minted by hand'),
    figure(
      'gate.cpu.total',
      'ns',
      cost.gated,
      'gate and crossing: CPU time of the JavaScript thread a transfer, window 32, default profile',
      target,
    ),
    figure('gate.cpu.reference', 'ns', cost.reference, 'the same with the reference profile', target),
    figure('gate.cpu.crossing', 'ns', cost.bare, 'the crossing in it: mint, post, drain, promise'),
    figure('gate.cpu.gate', 'ns', gateOnly, 'the gate in it, default profile: decision, lease, sample'),
    figure('gate.decide', 'ns', decide.decide, 'policy.decide() with its permit, one candidate, given back unused'),
  ]
}

/** One of those that are in flight together; each lane writes a block of its own. */
type Transfer = (lane: number) => Promise<void>

async function gatedTransfer(seam: Seam): Promise<Transfer> {
  const source = await seam.agent('prefill-0')
  const reader = await seam.agent('decode-0')
  const from = source.allocate(4096).blocks(NOOP_BYTES, [0])
  const target = reader.allocate(4096)
  const blocks = Array.from({ length: WINDOW }, (_, lane) => target.blocks(NOOP_BYTES, [lane]))
  return async (lane) => {
    const to = blocks[lane]!
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

async function meanNs(count: number, transfer: Transfer): Promise<number> {
  const start = process.hrtime.bigint()
  for (let i = 0; i < count; i++) await transfer(0)
  return elapsedNs(start) / count
}

async function inLanes(window: number, count: number, transfer: Transfer): Promise<void> {
  let left = count
  const run = async (lane: number): Promise<void> => {
    while (left > 0) {
      left--
      await transfer(lane)
    }
  }
  await Promise.all(Array.from({ length: window }, (_, lane) => run(lane)))
}
