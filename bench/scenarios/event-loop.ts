// What a saturated data plane does to the event loop, against the same loop with nothing to do; and what an idle agent costs.

import { once } from 'node:events'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { permutation, streamOf } from '../../src/random.js'
import { type Effort, type Figure, figure, type Scenario } from '../figure.js'
import { type ListPair, Pair } from '../pair.js'
import { interleaved } from '../rounds.js'
import { processCpuNs } from '../thread-cpu.js'

const KIB = 1024
const BLOCK_BYTES = 64 * KIB
const BLOCKS_A_TRANSFER = 16
const WINDOW = 32

export const eventLoop: Scenario = {
  name: 'event-loop',
  title: 'Event-loop delay at full load, and CPU share of an idle agent',
  async run(effort) {
    return [...(await delay(effort)), ...(await idle(effort))]
  },
}

async function delay(effort: Effort): Promise<Figure[]> {
  const pair = await Pair.open()
  try {
    const lists = Array.from({ length: WINDOW }, (_, lane) =>
      pair.lists(
        `load-${lane}`,
        BLOCK_BYTES,
        permutation(streamOf(effort.seed, 'bench-load-from', lane), BLOCKS_A_TRANSFER),
        permutation(streamOf(effort.seed, 'bench-load-to', lane), BLOCKS_A_TRANSFER),
      ),
    )
    const ms = effort.quick ? 200 : 2_000
    const samples = await interleaved(
      {
        idle: () => delayWhile(() => sleep(ms)),
        busy: () => delayWhile(() => copyInWorker(ms)),
        loaded: () => delayWhile(() => saturate(pair, lists, ms)),
      },
      Math.min(5, effort.rounds),
    )
    const added = samples.loaded.map((loaded, round) => Math.max(0, loaded - samples.idle[round]!))
    return [
      figure(
        'event-loop.p999.idle',
        'ns',
        samples.idle,
        'delay p99.9 with nothing to do; a 1 ms timer is what is delayed',
      ),
      figure(
        'event-loop.p999.busyThread',
        'ns',
        samples.busy,
        'comparison: delay p99.9 while a worker thread copies memory and the loop has nothing to do',
      ),
      figure(
        'event-loop.p999.loaded',
        'ns',
        samples.loaded,
        `delay p99.9 with ${WINDOW} transfers of 1 MiB always in flight`,
      ),
      figure('event-loop.p999.added', 'ns', added, 'the difference, round by round', { atMost: 2e6 }),
    ]
  } finally {
    await pair.close()
  }
}

/** p99.9 of the event-loop delay, nanoseconds. */
async function delayWhile(work: () => Promise<unknown>): Promise<number> {
  const histogram = monitorEventLoopDelay({ resolution: 1 })
  histogram.enable()
  try {
    await work()
    return histogram.percentile(99.9)
  } finally {
    histogram.disable()
  }
}

/** As much load on the machine as one copying progress thread, with none of this software in it. */
async function copyInWorker(ms: number): Promise<void> {
  const code = `
    const from = new Uint8Array(16 << 20).fill(1), to = new Uint8Array(16 << 20)
    const until = performance.now() + ${ms}
    while (performance.now() < until) for (let at = 0; at < from.length; at += 1 << 20) to.set(from.subarray(at, at + (1 << 20)), at)`
  const worker = new Worker(code, { eval: true })
  await once(worker, 'exit')
}

async function saturate(pair: Pair, lists: readonly ListPair[], ms: number): Promise<void> {
  const until = performance.now() + ms
  const run = async (list: ListPair): Promise<void> => {
    while (performance.now() < until) await pair.post(list, pair.mint(list.bytes)).settled
  }
  await Promise.all(lists.map(run))
}

async function idle(effort: Effort): Promise<Figure[]> {
  const ms = effort.quick ? 200 : 2_000
  const pair = await Pair.open()
  try {
    const one = Uint32Array.of(0)
    const lists = pair.lists('touch', KIB, one, one)
    await pair.post(lists, pair.mint(KIB)).settled // it has worked once: an agent that never did is not the question
    const shares: number[] = []
    for (let round = 0; round < Math.min(3, effort.rounds); round++) {
      const before = processCpuNs()
      const start = performance.now()
      await sleep(ms)
      shares.push((processCpuNs() - before) / 1e6 / (performance.now() - start))
    }
    return [
      figure(
        'event-loop.idleShare',
        'share',
        shares,
        'CPU of the whole process with two idle agents, as share of one core',
        {
          atMost: 0.01,
        },
      ),
    ]
  } finally {
    await pair.close()
  }
}
