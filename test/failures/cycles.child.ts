// Measures what only a process of its own can tell: resources after many faulted cycles, CPU while a queue stays full.

import { openSeam } from '../../src/index.js'
import { backendOptions } from '../backend.js'
import { processResources } from './oracles/process-resources.js'

const BLOCK = 64 * 1024
const BLOCKS = 12 // one for each transfer: two into one block would race with the check of the first
const SPECS = [
  '*=40%drop->40%lose',
  '*=50%late(10ms)',
  '*=50%dup(2);*=30%eagain(3)',
  '*=20%disconnect->30%error(backend)',
  '*=30%corrupt(3bits)->30%short(1KiB)->50%partial(10%)',
  '*=40%pause->30%delay(3ms)',
  '*=30%stall(5ms);*=30%reorder(3)',
  '*.connect=30%error(timeout)->30%delay(2ms);*.load=20%error(stale_epoch)',
]

process.on('warning', () => {})
process.removeAllListeners('warning')

async function cycle(n: number): Promise<void> {
  const seam = await openSeam({ ...backendOptions, profile: 'reference', sessionsPerPath: 1000 })
  try {
    seam.faults.arm(`seed=${n};${SPECS[n % SPECS.length]}`)
    const prefill = await seam.agent('prefill-0')
    const decode = await seam.agent('decode-0')
    const from = prefill.allocate(BLOCKS * BLOCK, { name: 'kv' })
    const to = decode.allocate(BLOCKS * BLOCK, { name: 'kv' })
    from.view().fill(n)
    await Promise.allSettled(
      Array.from({ length: BLOCKS }, (_, i) =>
        seam.handoff({
          from: from.blocks(BLOCK, [i]),
          to: to.blocks(BLOCK, [(i + 3) % BLOCKS]),
          workload: 'batch',
          deadlineMs: 15,
        }),
      ),
    )
  } catch {
    // A connect that a fault refused; what matters is what it leaves behind.
  } finally {
    await seam.close()
  }
}

async function leaks(): Promise<void> {
  const collect = async (): Promise<void> => {
    for (let i = 0; i < 4; i++) {
      ;(globalThis as { gc?: () => void }).gc?.()
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
  for (let n = 0; n < 40; n++) await cycle(n)
  await collect()
  const before = processResources()
  for (let n = 0; n < 160; n++) await cycle(n)
  await collect()
  console.log(JSON.stringify({ before, after: processResources() }))
}

async function fullQueue(): Promise<void> {
  const seam = await openSeam({ ...backendOptions, profile: 'reference', sessionsPerPath: 1000 })
  const prefill = await seam.agent('prefill-0')
  const decode = await seam.agent('decode-0')
  const from = prefill.allocate(BLOCK, { name: 'kv' })
  const to = decode.allocate(BLOCK, { name: 'kv' })
  seam.faults.arm('rail0.read=eagain(1000)')
  await new Promise((resolve) => setTimeout(resolve, 300))
  const cpu = process.cpuUsage()
  const start = performance.now()
  await seam
    .handoff({ from: from.blocks(BLOCK), to: to.blocks(BLOCK), workload: 'batch', deadlineMs: 1000 })
    .catch(() => {})
  const wallMs = performance.now() - start
  const { user, system } = process.cpuUsage(cpu)
  await seam.close()
  console.log(JSON.stringify({ cpuMs: (user + system) / 1000, wallMs }))
}

const { setFlagsFromString } = await import('node:v8')
const { runInNewContext } = await import('node:vm')
setFlagsFromString('--expose_gc')
;(globalThis as { gc?: () => void }).gc = runInNewContext('gc') as () => void
await (process.argv[2] === 'leaks' ? leaks() : fullQueue())
