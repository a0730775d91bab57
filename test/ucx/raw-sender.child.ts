// Writes to a peer over two rails, each under a permit but below the policy, and reports each outcome: what the backend
// does with a path, whoever would have admitted it. Run by networks.test.ts.

import { Agent } from '../../src/native/agent.js'
import { binding, OPERATION } from '../../src/native/binding.js'
import type { Transfer } from '../../src/native/transfer.js'

const gate = binding().openGate()
const agent = new Agent(gate, 'ucx', 'here', { rails: [0, 1].map((i) => ({ name: `rail${i}`, device: `tcp/a${i}` })) })
const pool = agent.allocate(1 << 20, { name: 'pool' })
agent.onPeerDown = () => process.send?.({ peerDown: true })

process.on('disconnect', () => process.exit(0))
process.once('message', async (metadata) => {
  const peer = await agent.connect(Buffer.from(String(metadata), 'base64'))
  const local = pool.blocks(65_536, [0, 1, 2, 3])
  const write = async (rail: number): Promise<void> => {
    const path = agent.path(rail, peer, rail)
    const remote = peer.region('pool').blocks(
      65_536,
      [3, 2, 1, 0].map((id) => 4 * rail + id),
    )
    for (;;) {
      const permit = binding().mint(gate, path.key, OPERATION.write, local.bytes, 1e9)
      const request = { permit, path: path.index, operation: OPERATION.write, local, remote, timeoutMs: 20_000 }
      let transfer: Transfer | undefined
      try {
        transfer = agent.post(request)
        const outcome = await transfer.settled
        process.send?.({ done: true, rail, ms: outcome.totalNs / 1e6 })
      } catch (error) {
        const { code, blame } = error as { code: string; blame: string }
        process.send?.({ failed: true, rail, code, blame })
        if (code === 'KVSEAM_STALE_EPOCH') return
        await transfer?.quiesced // until then its blocks may still be written
      }
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
  await Promise.all([write(0), write(1)])
})
process.send?.({ ready: true })
