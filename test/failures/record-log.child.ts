// Fills its decision log until the disk takes no more, says so, and goes on when its parent has made room.

import { once } from 'node:events'
import { openSeam } from '../../src/index.js'

// Beyond its limit a write fails instead of ending the process.
process.on('SIGXFSZ', () => {})

const seam = await openSeam({ profile: 'reference', recordLog: process.argv[2]!, sessionsPerPath: 1_000_000 })
await seam.agent('prefill-0')
await seam.agent('decode-0')

async function decide(times: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    const decision = seam.policy.decide({ workload: 'batch', bytes: 4096, from: 'prefill-0', to: ['decode-0'] })
    if (decision.outcome === 'admitted') seam.policy.abandon(decision)
    if (i % 20 === 19) await new Promise((resolve) => setTimeout(resolve, 1))
  }
}

console.log('ready')
await once(process.stdin, 'data')
while (seam.records.lost === 0) await decide(100)
console.log('full')
await once(process.stdin, 'data')
// Until everything is taken again; then the gap has been handed over, and close() sees it to the file.
let lost: number
do {
  lost = seam.records.lost
  await decide(400)
} while (seam.records.lost > lost)
await seam.close()
console.log(JSON.stringify({ lost, atLast: seam.records.lost }))
process.exit(0)
