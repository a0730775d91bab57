// A decode process of the demo: offers its KV pool, waits for blocks, verifies their digest before it "decodes" from them.

import { openSeam } from '../seam.js'
import { KvPool } from './kv-pool.js'
import { type DecodeSetup, decodeArrival, type FromDecode, type ToDecode } from './messages.js'

interface Expected {
  readonly ids: Uint32Array
  readonly holdMs: number
}

// The terminal sends Ctrl-C to every process of the group; the parent decides when this one ends.
process.on('SIGINT', () => {})
process.on('SIGTERM', () => {})
process.on('disconnect', () => process.exit(0))

function say(message: FromDecode): void {
  if (process.connected) process.send?.(message)
}

async function main(setup: DecodeSetup): Promise<void> {
  const seam = await openSeam({ backend: setup.backend })
  const agent = await seam.agent(setup.name, { rails: setup.rails })
  const pool = new KvPool(agent, setup.plan, 0)
  const expected = new Map<number, Expected>()
  const arrived = new Map<number, number>()

  // Control message and notification take different ways, so either may come first.
  const verify = async (id: number): Promise<void> => {
    const blocks = expected.get(id)
    const digest = arrived.get(id)
    if (blocks === undefined || digest === undefined) return
    expected.delete(id)
    arrived.delete(id)
    const descriptors = pool.descriptors(blocks.ids)
    const found = await descriptors.digest()
    descriptors.release()
    say({ kind: 'verified', id, ok: found === digest, found })
    setTimeout(() => say({ kind: 'released', id }), blocks.holdMs)
  }

  process.on('message', (message: ToDecode) => {
    switch (message.kind) {
      case 'expect':
        expected.set(message.id, { ids: Uint32Array.from(message.ids), holdMs: message.holdMs })
        verify(message.id).catch(fail)
        break
      case 'forget':
        expected.delete(message.id)
        arrived.delete(message.id)
        say({ kind: 'released', id: message.id })
        break
      case 'stop':
        seam.close({ drainMs: 500 }).then(() => process.disconnect(), fail)
        break
    }
  })
  say({ kind: 'ready', metadata: Buffer.from(agent.metadata()).toString('base64') })

  for await (const notification of agent.notifications()) {
    const { id, digest } = decodeArrival(notification.data)
    arrived.set(id, digest)
    verify(id).catch(fail)
  }
}

function fail(error: unknown): void {
  say({ kind: 'failed', message: error instanceof Error ? error.message : String(error) })
}

main(JSON.parse(process.argv[2] ?? '{}') as DecodeSetup).catch((error: unknown) => {
  fail(error)
  process.exitCode = 1
  process.disconnect?.()
})
