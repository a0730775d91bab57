// A decode process for the tests beside it: offers a pool, tells its parent what arrives, does as it is told.

import type { Notification } from '../../src/native/notification-queue.js'
import { openSeam } from '../../src/seam.js'
import { backendOptions } from '../backend.js'

export type FromChild =
  | { readonly kind: 'ready'; readonly metadata: string; readonly incarnation: string }
  | { readonly kind: 'digest'; readonly digest: number }
  | { readonly kind: 'notification'; readonly from: string; readonly text: string }
  | { readonly kind: 'closed' }

export type ToChild = { readonly kind: 'digest'; readonly bytes: number } | { readonly kind: 'close' }

const [, , name, bytes, seconds] = process.argv
const POOL_BYTES = Number(bytes)

const orphaned = (): void => process.exit(0)
process.on('disconnect', orphaned)
const say = (message: FromChild): void => void process.send?.(message)

const seam = await openSeam(backendOptions)
const rails = Number(seconds) === 0 ? {} : { bytesPerSecond: Math.round(POOL_BYTES / Number(seconds)) }
const agent = await seam.agent(name!, { rails: [{ name: 'rail0', ...rails }] })
const pool = agent.allocate(POOL_BYTES, { name: 'pool' })

process.on('message', (message: ToChild) => {
  void (async () => {
    if (message.kind === 'digest') {
      using blocks = pool.range(0, message.bytes)
      say({ kind: 'digest', digest: await blocks.digest() })
    } else {
      await seam.close()
      say({ kind: 'closed' })
      process.off('disconnect', orphaned)
      process.disconnect()
    }
  })()
})
say({ kind: 'ready', metadata: Buffer.from(agent.metadata()).toString('base64'), incarnation: agent.incarnation })
for await (const { from, data } of agent.notifications() as AsyncIterable<Notification>) {
  say({ kind: 'notification', from, text: Buffer.from(data).toString() })
}
