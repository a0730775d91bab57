// A peer of a chaos run: offers memory to read from and to write to until it is killed.

import { openSeam } from '../../src/index.js'

const [name = 'peer-0', bytes = '1048576'] = process.argv.slice(2)
const seam = await openSeam()
const agent = await seam.agent(name)
// One to be written to, one that nobody writes to.
const regions = {
  kv: agent.allocate(Number(bytes), { name: 'kv' }),
  zero: agent.allocate(Number(bytes), { name: 'zero' }),
}
process.on('message', async (message: { id: number; region: 'kv' | 'zero'; blocks: number[]; blockBytes: number }) => {
  const blocks = regions[message.region].blocks(message.blockBytes, message.blocks)
  process.send?.({ id: message.id, digest: await blocks.digest() })
  blocks.release()
})
process.on('disconnect', () => process.exit(0))
process.send?.({ metadata: Buffer.from(agent.metadata()).toString('base64') })
setInterval(() => {}, 60_000)
