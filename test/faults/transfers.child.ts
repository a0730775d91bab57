// Moves 40 blocks one after the other over two rails and prints what became of each: to be run under fault flags. The policy
// is not told the outcomes, so that a slow machine changes nothing.

import { openSeam, SeamError } from '../../src/index.js'
import { permitNumber } from '../../src/permit.js'

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
  const decision = seam.policy.decide({
    workload: 'batch',
    bytes: BLOCK,
    from: 'prefill-0',
    to: ['decode-0'],
    exclude: [`prefill-0/rail${1 - rail}>decode-0/rail${1 - rail}`],
  })
  if (decision.outcome !== 'admitted') throw new Error(decision.record.reason)
  const to = target.blocks(BLOCK, [39 - i])
  try {
    await decode.post({
      permit: permitNumber(decision.permit),
      path: decision.path.nativeIndex,
      operation: decision.path.operation,
      local: to,
      remote: source.blocks(BLOCK, [i]),
      timeoutMs: 30_000,
    }).settled
    console.log(`${i} ${decision.path.fromRail} ${await to.digest()}`)
  } catch (error) {
    console.log(`${i} rail${rail} ${SeamError.is(error) ? error.code : String(error)}`)
  }
  seam.policy.release(decision.lease)
}
await seam.close()
