// An agent of another process: offers a pool and does what its parent says. Run by the tests of this folder.
// Arguments: name, devices of its rails joined by a comma, bytes of the pool.

import { openSeam, type Peer } from '../../src/index.js'
import { integerAt, streamOf } from '../../src/random.js'

const [name = 'peer', devices = 'tcp/lo', bytes = '1048576'] = process.argv.slice(2)

export type ToPeer =
  | { kind: 'digest'; blockBytes: number; ids: number[] }
  | { kind: 'pull'; metadata: string; blockBytes: number; ids: number[]; forever?: boolean }
  | { kind: 'pull again'; blockBytes: number; ids: number[] }
  | { kind: 'withdraw' }
  | { kind: 'stop' }

const seam = await openSeam({
  backend: 'ucx',
  rails: devices.split(',').map((device, i) => ({ name: `rail${i}`, device })),
})
const agent = await seam.agent(name)
const pool = agent.allocate(Number(bytes), { name: 'pool' })
const words = new Uint32Array(pool.view().buffer)
const draws = streamOf(11, 'ucx-peer')
for (let i = 0; i < words.length; i += 64) words[i] = integerAt(draws, i, 2 ** 32)

let peer: Peer | undefined
process.on('disconnect', () => process.exit(0))
process.on('message', async (message: ToPeer) => {
  if (message.kind === 'digest') {
    process.send?.({ digest: await pool.blocks(message.blockBytes, message.ids).digest() })
  } else if (message.kind === 'withdraw') {
    await pool.close()
    process.send?.({ withdrawn: true })
  } else if (message.kind === 'stop') {
    await seam.close()
    process.disconnect?.()
  } else {
    if (message.kind === 'pull') peer = await seam.connect(agent, Buffer.from(message.metadata, 'base64'))
    if (peer === undefined) throw new Error('pull before pull again')
    const from = peer.region('pool').blocks(message.blockBytes, message.ids)
    const to = pool.blocks(message.blockBytes, message.ids)
    do {
      const done = await seam.handoff({ from, to, workload: 'batch', deadlineMs: 20_000, verify: 'off' })
      process.send?.({ pulled: done.bytes })
    } while (message.kind === 'pull' && message.forever === true)
  }
})
process.send?.({ metadata: Buffer.from(agent.metadata()).toString('base64') })
for await (const { from, data } of agent.notifications()) process.send?.({ from, text: Buffer.from(data).toString() })
