// What is left of a seam after close(): regions, descriptor lists, threads and file descriptors, counted before and after.

import { setTimeout as sleep } from 'node:timers/promises'
import { binding } from '../../src/native/binding.js'
import { openSeam } from '../../src/seam.js'
import { type Figure, figure, type Scenario } from '../figure.js'
import { collect } from '../heap.js'
import { openFileCount, threadCount } from '../thread-cpu.js'

const KIB = 1024
/** A progress thread is detached: it may outlive close() by the time the kernel takes to end it. Finalizers are late too. */
const SETTLE_MS = 2_000

export const leaks: Scenario = {
  name: 'leaks',
  title: 'What is left after close()',
  async run(effort) {
    await oneLife() // what Node itself opens on first use (thread pool, epoll) is not ours
    const before = await quietCounts()
    const lives = effort.quick ? 3 : 50
    let lists = 0
    for (let i = 0; i < lives; i++) lists += await oneLife()
    const left = await leftAfter(before)
    const meaning = `left after ${lives} seams were opened, used and closed`
    const none = { atMost: 0 }
    return [
      figure('leaks.regions', 'count', [left.regions], `regions ${meaning}`, none),
      figure(
        'leaks.descriptorLists',
        'count',
        [lists],
        'descriptor lists that an agent still had after release(), before close()',
        none,
      ),
      figure('leaks.threads', 'count', [left.threads], `threads ${meaning}`, none),
      figure('leaks.files', 'count', [left.files], `file descriptors ${meaning}`, none),
    ] satisfies Figure[]
  },
}

interface Counts {
  readonly regions: number
  readonly threads: number
  readonly files: number
}

function counts(): Counts {
  return { regions: binding().liveRegions(), threads: threadCount(), files: openFileCount() }
}

/** What other scenarios left to the garbage collector must not go away while this one counts. */
async function quietCounts(): Promise<Counts> {
  const until = performance.now() + SETTLE_MS
  for (;;) {
    const before = counts()
    collect()
    await sleep(100)
    const after = counts()
    const still = after.regions === before.regions && after.files === before.files && after.threads === before.threads
    if (still || performance.now() >= until) return after
  }
}

/** @returns descriptor lists that were still held after each had been released */
async function oneLife(): Promise<number> {
  const seam = await openSeam({ backend: 'mock' })
  try {
    const source = await seam.agent('prefill-0', { rails: [{ name: 'a' }, { name: 'b' }] })
    const reader = await seam.agent('decode-0', { rails: [{ name: 'a' }, { name: 'b' }] })
    const from = source.allocate(64 * KIB).blocks(KIB, [0, 5, 9])
    const to = reader.allocate(64 * KIB).blocks(KIB, [3, 4, 7])
    const { quiesced } = await seam.handoff({ from, to, workload: 'batch' })
    await quiesced
    from.release()
    to.release()
    return source.counters.descriptorLists + reader.counters.descriptorLists
  } finally {
    await seam.close()
  }
}

async function leftAfter(before: Counts): Promise<Counts> {
  const until = performance.now() + SETTLE_MS
  for (;;) {
    const now = counts()
    const left = {
      regions: now.regions - before.regions,
      threads: now.threads - before.threads,
      files: now.files - before.files,
    }
    const none = left.regions <= 0 && left.threads <= 0 && left.files <= 0
    if (none || performance.now() >= until) return left
    await sleep(20)
  }
}
