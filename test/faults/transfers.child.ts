// Moves 40 blocks one after the other over two rails and prints what became of each: to be run under fault flags.

import { openSeam, SeamError } from '../../src/index.js'

const BLOCK = 4096

const seam = await openSeam({ profile: 'reference', sessionsPerPath: 1000 })
if (process.argv[2] === 'arm-and-disarm') seam.faults.arm('seed=1;*=drop').disarm()
const prefill = await seam.agent('prefill-0')
const decode = await seam.agent('decode-0')
const source = prefill.allocate(40 * BLOCK, { name: 'kv' })
const target = decode.allocate(40 * BLOCK, { name: 'kv' })
source.view().forEach((_, i, bytes) => {
  bytes[i] = (i * 7 + (i >> 8)) & 255
})
for (let i = 0; i < 40; i++) {
  const rail = i % 2
  try {
    const done = await seam.handoff({
      from: source.blocks(BLOCK, [i]),
      to: target.blocks(BLOCK, [39 - i]),
      workload: 'batch',
      exclude: [`prefill-0/rail${1 - rail}>decode-0/rail${1 - rail}`],
    })
    console.log(`${i} ${done.path.fromRail} ${done.digest}`)
  } catch (error) {
    console.log(`${i} rail${rail} ${SeamError.is(error) ? error.code : String(error)}`)
  }
}
await seam.close()
