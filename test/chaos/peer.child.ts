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
/** A parent that has gone meanwhile wants no answer. */
function say(message: object): void {
  process.send?.(message, undefined, undefined, () => {})
}

process.on('message', async (message: { id: number; region: 'kv' | 'zero'; blocks: number[]; blockBytes: number }) => {
  const blocks = regions[message.region].blocks(message.blockBytes, message.blocks)
  say({ id: message.id, digest: await blocks.digest() })
  blocks.release()
})
process.on('disconnect', () => process.exit(0))
say({ metadata: Buffer.from(agent.metadata()).toString('base64') })
setInterval(() => {}, 60_000)
