// A program that ends, or is ended, in the middle of transfers. Run by the tests beside it: life.child.ts MODE [LOOPS].

import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import type { Agent } from '../../src/native/agent.js'
import { binding } from '../../src/native/binding.js'
import type { Region } from '../../src/native/region.js'
import { openSeam, type Seam } from '../../src/seam.js'

const mode = isMainThread ? process.argv[2] : (workerData as string)
const loops = Number(process.argv[3] ?? 1)
const BLOCK = 4096
/** The parent starts this with --expose-gc. */
const collect = (globalThis as { gc?: () => void }).gc ?? (() => {})

interface Scene {
  readonly seam: Seam
  readonly agents: readonly [Agent, Agent]
  readonly kv: Region
  readonly slots: Region
}

/** Two agents whose rails take `seconds` for what hang() posts. */
async function scene(seconds: number, bytes = 1 << 20): Promise<Scene> {
  const rails = [{ name: 'slow0', ...(seconds === 0 ? {} : { bytesPerSecond: Math.round(bytes / seconds) }) }]
  const seam = await openSeam({ profile: 'reference', sessionsPerPath: 1000, deadlineMs: 60_000 })
  const agents = [await seam.agent('a', { rails }), await seam.agent('b', { rails })] as const
  const kv = agents[0].allocate(bytes, { name: 'kv' })
  const slots = agents[1].allocate(bytes, { name: 'slots' })
  for (let i = 0; i < bytes; i += BLOCK) kv.view().fill(i / BLOCK, i, i + BLOCK)
  return { seam, agents, kv, slots }
}

/** Starts transfers of the whole region that will not end soon, and waits until the backend has them. */
async function hang({ seam, agents, kv, slots }: Scene, count = 8): Promise<{ moves: Promise<unknown>[] }> {
  const moves: Promise<unknown>[] = []
  for (let i = 0; i < count; i++) {
    const decision = seam.policy.decide({ workload: 'batch', bytes: kv.bytes, from: 'a', to: ['b'] })
    if (decision.outcome !== 'admitted') throw new Error('not admitted')
    const to = i === 0 ? slots : agents[1].allocate(kv.bytes, { name: `more-${i}` })
    moves.push(seam.transfer(decision, { from: kv.blocks(BLOCK), to: to.blocks(BLOCK), verify: 'off' }))
  }
  while (agents[1].counters.posted < count) await sleep(1)
  return { moves }
}

const same = ({ kv, slots }: Scene): boolean => Buffer.compare(kv.view(), slots.view()) === 0

const modes: Record<string, () => Promise<void>> = {
  async exit() {
    await hang(await scene(30))
    console.log('now')
    process.exit(7)
  },

  async uncaught() {
    await hang(await scene(30))
    console.log('now')
    setImmediate(() => {
      throw new Error('nobody catches this')
    })
    await sleep(60_000)
  },

  async rejection() {
    await hang(await scene(30))
    console.log('now')
    void Promise.reject(new Error('nobody handles this'))
    await sleep(60_000)
  },

  async wait() {
    await hang(await scene(30))
    console.log('in flight')
    await sleep(60_000)
  },

  async graceful() {
    const here = await scene(30)
    const { moves } = await hang(here)
    const outcomes = Promise.allSettled(moves)
    process.on('SIGTERM', () => {
      void (async () => {
        await here.seam.close()
        const settled = await outcomes
        console.log(`settled ${settled.filter((each) => each.status === 'rejected').length}`)
        console.log(`regions ${binding().liveRegions()}`)
        process.exitCode = 143
      })()
    })
    console.log('in flight')
    // Nothing but the transfers keeps it alive, so it ends by itself after close().
  },

  /** Without close(): an idle agent holds nobody, a transfer in flight holds the process until it has settled. */
  async natural() {
    const here = await scene(0.3)
    const {
      moves: [move],
    } = await hang(here, 1)
    void move!.then(() => console.log(`settled, same: ${same(here)}`))
    console.log('now')
  },

  async idle() {
    await scene(0)
    console.log('now')
  },

  /** All references are dropped while the backend moves bytes; only shares of C++ keep the memory. */
  async gc() {
    for (let loop = 0; loop < loops; loop++) {
      const done = await (async () => {
        const here = await scene(0.15)
        const {
          moves: [move],
        } = await hang(here, 1)
        return { move: move!, seam: here.seam }
      })()
      for (let i = 0; i < 20; i++) {
        collect()
        // Where freed memory would be handed out again.
        new Uint8Array(1 << 20).fill(i)
        await sleep(5)
      }
      await done.move
      await done.seam.close()
    }
    // Finalizers of the views run from the event loop.
    console.log(`regions ${await left(() => binding().liveRegions())}`)
  },

  /** What JavaScript can do to a view of memory that a transfer is writing to. */
  async detach() {
    const attacks: ((
      buffer: ArrayBuffer & { transfer?: (bytes?: number) => ArrayBuffer; resize?: (n: number) => void },
    ) => void)[] = [
      (buffer) => void structuredClone(buffer, { transfer: [buffer] }),
      (buffer) => void new MessageChannel().port1.postMessage(buffer, [buffer]),
      (buffer) => void buffer.transfer?.(),
      (buffer) => void buffer.transfer?.(8 << 20),
      (buffer) => void buffer.resize?.(0),
    ]
    for (let loop = 0; loop < loops; loop++) {
      for (const attack of attacks) {
        const here = await scene(0.05)
        const { moves } = await hang(here, 1)
        for (const region of [here.kv, here.slots]) {
          try {
            attack(region.view().buffer as ArrayBuffer)
          } catch (error) {
            if (!/DataCloneError|TypeError/.test((error as Error).name)) throw error
          }
        }
        collect()
        new Uint8Array(1 << 20).fill(0xee)
        await Promise.all(moves)
        if (!same(here)) throw new Error('the bytes are not those that were sent')
        await here.seam.close()
      }
    }
    console.log('same bytes')
    // A channel with a port that was never closed would keep the process.
    process.exit(0)
  },

  /** A worker with transfers in flight is terminated, again and again; main goes on and nothing is left. */
  async worker() {
    if (!isMainThread) {
      await hang(await scene(30))
      parentPort!.postMessage('in flight')
      await sleep(60_000)
      return
    }
    for (let loop = 0; loop < loops; loop++) {
      // Node 20 gives a worker's first file no loader hooks, so a line of plain JavaScript registers them there.
      const boot = `import('tsx/esm/api').then(({ register }) => { register(); return import(${JSON.stringify(import.meta.url)}) })`
      const worker = new Worker(boot, { eval: true, workerData: 'worker' })
      await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
      const fromMs = performance.now()
      await worker.terminate()
      if (performance.now() - fromMs > 20_000) throw new Error('terminate() took too long')
    }
    // A function of its own, so that nothing on the stack holds its views.
    await (async () => {
      const here = await scene(0)
      await Promise.all((await hang(here, 4)).moves)
      if (!same(here)) throw new Error('main is damaged')
      await here.seam.close()
    })()
    console.log(`regions ${await left(() => binding().liveRegions())}`)
    console.log(`threads ${await left(() => progressThreads())}`)
  },

  /** Opens, moves, fails, cancels and closes; then counts what the process has more of than before. */
  async leaks() {
    const once = async (): Promise<void> => {
      const here = await scene(0, 1 << 16)
      await Promise.all((await hang(here, 4)).moves)
      const stop = new AbortController()
      const faults = here.seam.faults.arm('*.read=pause')
      const aborted = here.seam
        .handoff({ from: here.kv.blocks(BLOCK), to: here.slots.blocks(BLOCK), workload: 'batch', signal: stop.signal })
        .catch(() => {})
      await faults.whenPaused()
      stop.abort()
      await aborted
      await here.seam.close()
    }
    await once() // what a process opens once and keeps
    const count = (): Record<string, number> => ({
      fds: readdirSync('/proc/self/fd').length,
      threads: progressThreads(),
      regions: binding().liveRegions(),
    })
    await left(() => binding().liveRegions())
    const before = count()
    for (let loop = 0; loop < loops; loop++) await once()
    await left(() => binding().liveRegions())
    console.log(JSON.stringify({ before, after: count() }))
  },

  async twice() {
    const here = await scene(30)
    const { moves } = await hang(here)
    // Listened to first: they are rejected before the closing is over.
    const outcomes = Promise.allSettled(moves)
    await Promise.all([here.seam.close(), here.seam.close(), here.agents[0].close()])
    console.log(`settled ${(await outcomes).length}`)
  },
}

/** A counter that should come down to 0 by itself: views are given back by finalizers. */
async function left(count: () => number): Promise<number> {
  for (let i = 0; i < 500 && count() > 0; i++) {
    collect()
    await sleep(10)
  }
  return count()
}

function progressThreads(): number {
  return readdirSync('/proc/self/task').filter((id) => {
    try {
      return readFileSync(`/proc/self/task/${id}/comm`, 'utf8').startsWith('kvseam-progress')
    } catch {
      return false // it ended meanwhile
    }
  }).length
}

await modes[mode!]!()
