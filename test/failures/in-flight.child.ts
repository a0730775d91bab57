// Ends in the way it is told (exit, throw, sigterm, or as a worker that is terminated) while faults hold its transfers.

import { isMainThread, parentPort } from 'node:worker_threads'
import { openSeam } from '../../src/index.js'
import { backendOptions } from '../backend.js'

const [how = 'exit', spec = '*=drop'] = process.argv.slice(2)
const BLOCK = 4096

process.removeAllListeners('warning')
const seam = await openSeam({ ...backendOptions, profile: 'reference', sessionsPerPath: 1000 })
const prefill = await seam.agent('prefill-0')
const decode = await seam.agent('decode-0')
const source = prefill.allocate(64 * BLOCK, { name: 'kv' })
const target = decode.allocate(64 * BLOCK, { name: 'kv' })
seam.faults.arm(spec)
for (let i = 0; i < 16; i++) {
  seam
    .handoff({
      from: source.blocks(BLOCK, [i]),
      to: target.blocks(BLOCK, [i]),
      workload: 'batch',
      deadlineMs: 60_000,
      verify: 'off',
    })
    .catch(() => {})
}
await new Promise((resolve) => setTimeout(resolve, 30))
if (how === 'exit') process.exit(7)
if (how === 'throw') throw new Error('uncaught on purpose')
if (how === 'sigterm') process.kill(process.pid, 'SIGTERM')
if (!isMainThread) parentPort?.postMessage('in flight')
setInterval(() => {}, 60_000)
