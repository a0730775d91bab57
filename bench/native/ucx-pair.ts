// Our side of the comparison with ucx_loop: the same blocks, shuffled the same way, handed over between two processes under
// a permit each, timed natively to the peer's acknowledgement and by the caller. Below the policy, which would take a path
// that is made to swing like this for a gray one. Prints JSON.
// With `busy` this thread works in slices of 2 ms meanwhile, as a server that has other things to do. Single blocks are moved
// 5,000 times before anything is measured: a service runs compiled JavaScript, and the first thousands of rounds do not.
// tsx bench/native/ucx-pair.ts <device> <push|pull> <block bytes> <blocks> <rounds> [busy]

import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { Agent } from '../../src/native/agent.js'
import { binding, OPERATION } from '../../src/native/binding.js'

const [device = 'tcp/lo', mode = 'push', block = '32768', blocks = '4096', rounds = '10', role = 'idle'] =
  process.argv.slice(2)
const blockBytes = Number(block)
const count = Number(blocks)
const rails = [{ name: 'rail0', device }]
const WARM_UP_ROUNDS = 5000

function shuffled(seed: bigint): Uint32Array {
  const ids = Uint32Array.from({ length: count }, (_, i) => i)
  for (let i = count - 1; i > 0; i--) {
    seed = BigInt.asUintN(64, seed * 6364136223846793005n + 1442695040888963407n)
    const j = Number((seed >> 33n) % BigInt(i + 1))
    const t = ids[i]!
    ids[i] = ids[j]!
    ids[j] = t
  }
  return ids
}

/** One slice of 2 ms after the other, with a turn of the event loop in between. */
function keepBusy(): NodeJS.Immediate {
  const until = performance.now() + 2
  while (performance.now() < until);
  return setImmediate(() => {
    slice = keepBusy()
  })
}
let slice: NodeJS.Immediate | undefined

const gate = binding().openGate()
// The native loop never sleeps, so neither does this between two rounds.
await using agent = new Agent(gate, 'ucx', role === 'there' ? 'there' : 'here', { rails, spinUs: 2000 })
const pool = agent.allocate(blockBytes * count, { name: 'pool' })
pool.view().fill(1)
if (role === 'there') {
  process.on('disconnect', () => process.exit(0))
  process.send?.(Buffer.from(agent.metadata()).toString('base64'))
  for await (const _ of agent.notifications());
} else {
  const child = fork(fileURLToPath(import.meta.url), [device, mode, block, blocks, rounds, 'there'], {
    execArgv: process.execArgv,
  })
  const metadata = await new Promise<string>((resolve) => child.once('message', (message) => resolve(String(message))))
  const peer = await agent.connect(Buffer.from(metadata, 'base64'))
  using local = pool.blocks(blockBytes, shuffled(1n))
  using remote = peer.region('pool').blocks(blockBytes, shuffled(2n))
  const path = agent.path(0, peer, 0)
  const operation = mode === 'push' ? OPERATION.write : OPERATION.read
  const notify = mode === 'push' ? Buffer.from('done') : undefined
  const wireNs: number[] = []
  const callerNs: number[] = []
  const warmUp = count === 1 ? WARM_UP_ROUNDS : 0
  for (let round = -warmUp; round < Number(rounds); round++) {
    if (round === 0 && role === 'busy') slice = keepBusy()
    const start = process.hrtime.bigint()
    const permit = binding().mint(gate, path.key, operation, local.bytes, 1e9)
    const transfer = agent.post({ permit, path: path.index, operation, local, remote, timeoutMs: 30_000, notify })
    const outcome = await transfer.settled
    if (round < 0) continue
    callerNs.push(Number(process.hrtime.bigint() - start))
    wireNs.push(outcome.wireNs)
  }
  clearImmediate(slice)
  const { provider, version } = agent.info
  const busy = role === 'busy'
  console.log(JSON.stringify({ provider, version, mode, busy, block: blockBytes, blocks: count, wireNs, callerNs }))
  child.disconnect()
}
