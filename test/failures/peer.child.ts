// A peer in a process of its own: offers a region, says its metadata, serves until it is killed. Its parent freezes it too.

import { openSeam } from '../../src/index.js'
import { backendOptions } from '../backend.js'

const [name = 'peer-0', fill = '1', bytesPerSecond = '0'] = process.argv.slice(2)
const rails = [0, 1].map((n) => ({ name: `rail${n}`, bytesPerSecond: Number(bytesPerSecond) }))
const seam = await openSeam(backendOptions)
const agent = await seam.agent(name, { rails })
agent
  .allocate(1024 * 1024, { name: 'kv' })
  .view()
  .fill(Number(fill))
process.on('message', async (message: { write?: string; into?: string; deadlineMs?: number }) => {
  if (message.write === undefined) return
  // A push into memory of the parent, slowly, for tests that freeze this process in the middle.
  try {
    const peer = await seam.connect(agent, Buffer.from(message.write, 'base64'))
    const from = agent.allocate(1024 * 1024, { name: `out-${Date.now()}` })
    from.view().fill(0xee)
    const decision = seam.policy.decide({ workload: 'batch', bytes: from.bytes, from: name, to: [peer.name] })
    if (decision.outcome !== 'admitted') throw new Error(decision.record.reason)
    const moving = seam.transfer(decision, {
      from: from.range(0, from.bytes),
      to: peer.region(message.into ?? 'landing').range(0, from.bytes),
      deadlineMs: message.deadlineMs ?? 20_000,
    })
    process.send?.({ writing: true })
    await moving
    process.send?.({ wrote: null })
  } catch (error) {
    process.send?.({ wrote: (error as { code?: string }).code ?? String(error) })
  }
})
process.on('disconnect', () => process.exit(0))
process.send?.({ metadata: Buffer.from(agent.metadata()).toString('base64') })
setInterval(() => {}, 60_000)
