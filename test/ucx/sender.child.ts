// Pushes blocks to a peer over two rails for as long as it lives and reports each handoff. Run by networks.test.ts.
// Arguments: bytes of a block, milliseconds between two handoffs.

import { openSeam, SeamError } from '../../src/index.js'
import { pathStateChannel } from '../../src/observe/channels.js'

const [block = '65536', pauseMs = '10'] = process.argv.slice(2)
const seam = await openSeam({ backend: 'ucx', rails: [0, 1].map((i) => ({ name: `rail${i}`, device: `tcp/a${i}` })) })
const agent = await seam.agent('here')
const pool = agent.allocate(1 << 20, { name: 'pool' })

pathStateChannel.subscribe((message) => {
  const { path, to } = message as { path: string; to: string }
  process.send?.({ state: to, path })
})
process.on('disconnect', () => process.exit(0))
process.once('message', async (metadata) => {
  const peer = await seam.connect(agent, Buffer.from(String(metadata), 'base64'))
  const blocks = 4
  // Rails that push at the same time must not write the same blocks.
  const idsOf = (lane: number): number[] => Array.from({ length: blocks }, (_, i) => blocks * lane + i)
  agent.onPeerDown = () => process.send?.({ peerDown: true })
  const push = async (path: string, workload: string, lane: number): Promise<void> => {
    const exclude = [...seam.paths].map((one) => one.id).filter((id) => !id.includes(path))
    const ids = idsOf(lane)
    const from = pool.blocks(Number(block), ids)
    const to = peer.region('pool').blocks(Number(block), ids)
    let quiet = (): void => {}
    const quiesced = new Promise<void>((resolve) => {
      quiet = resolve
    })
    try {
      const request = { from, to, workload, deadlineMs: 10_000, verify: 'off', exclude, onQuiesced: quiet } as const
      const done = await seam.handoff(request)
      process.send?.({ done: workload, path: done.path.id, ms: done.ms })
    } catch (error) {
      if (SeamError.is(error)) process.send?.({ failed: workload, code: error.code, blame: error.blame, asked: path })
      else throw error
    } finally {
      await quiesced
      from.release()
      to.release()
    }
  }
  process.send?.({ met: true })
  for (;;) {
    // Batch work keeps going to each rail; interactive work goes where the policy lets it.
    await Promise.all([push('/rail0', 'batch', 0), push('/rail1', 'batch', 1)])
    await push('/', 'interactive', 2)
    await new Promise((resolve) => setTimeout(resolve, Number(pauseMs)))
  }
})
process.send?.({ ready: true })
