// Real processes over the mock's shared memory: bytes arrive, a killed peer is noticed, a frozen one hits the deadline, and
// neither takes more with it than its own paths.

import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'
import { itOnMock } from '../backend.js'
import { freeze } from '../freeze.js'
import { admit, eventually, fillWithPattern, openFor, PATIENCE_MS, PREFILL } from '../native/pair.js'
import { refusalOf } from '../native/refusal.js'
import type { FromChild, ToChild } from './decode.child.js'

const POOL_BYTES = 1 << 20
const TIMEOUT_MS = 90_000

class DecodeProcess {
  readonly child: ChildProcess
  readonly messages: FromChild[] = []
  readonly exited: Promise<void>

  constructor(name: string, seconds: number) {
    const file = fileURLToPath(new URL('./decode.child.ts', import.meta.url))
    this.child = fork(file, [name, String(POOL_BYTES), String(seconds)], { execArgv: ['--import', 'tsx'] })
    onTestFinished(() => void this.child.kill('SIGKILL'))
    this.child.on('message', (message: FromChild) => void this.messages.push(message))
    this.exited = new Promise((resolve) => this.child.once('exit', () => resolve()))
  }

  async next<K extends FromChild['kind']>(kind: K): Promise<Extract<FromChild, { kind: K }>> {
    let found = -1
    const until = performance.now() + TIMEOUT_MS / 2
    while (performance.now() < until) {
      found = this.messages.findIndex((message) => message.kind === kind)
      if (found >= 0) return this.messages.splice(found, 1)[0] as Extract<FromChild, { kind: K }>
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    throw new Error(`the process never said '${kind}'`)
  }

  say(message: ToChild): void {
    this.child.send(message)
  }

  async metadata(): Promise<Uint8Array> {
    return Buffer.from((await this.next('ready')).metadata, 'base64')
  }
}

/** A prefill agent here and decode processes that it is connected to. `seconds`: what a whole pool takes over their rail. */
async function openWith(names: readonly string[], seconds = 0) {
  const seam = await openFor({ sessionsPerPath: 100 })
  const agent = await seam.agent(PREFILL, { rails: [{ name: 'rail0' }], quiesceGraceMs: 60_000 })
  const kv = agent.allocate(POOL_BYTES, { name: 'kv' })
  fillWithPattern(kv.view())
  const decodes = new Map(names.map((name) => [name, new DecodeProcess(name, seconds)]))
  for (const decode of decodes.values()) await seam.connect(agent, await decode.metadata())
  const push = async (name: string, { bytes = POOL_BYTES, deadlineMs = PATIENCE_MS, notify = '' } = {}) => {
    const decision = admit(seam, { bytes, to: [name], deadlineMs })
    return await seam.transfer(decision, {
      from: kv.range(0, bytes),
      to: agent.peer(name)!.region('pool').range(0, bytes),
      deadlineMs,
      ...(notify === '' ? {} : { notify: Buffer.from(notify) }),
    })
  }
  const path = (name: string) => seam.paths.between(PREFILL, name)[0]!
  return { seam, agent, kv, decodes, push, path }
}

describe('between processes', { timeout: TIMEOUT_MS }, () => {
  it('bytes are pushed and pulled, and the notification comes after them', async () => {
    const { seam, agent, kv, decodes, push } = await openWith(['decode-0', 'decode-1'])
    for (const [name, decode] of decodes) {
      const moved = await push(name, { notify: `for ${name}` })
      expect(moved.bytes).toBe(POOL_BYTES)
      expect(await decode.next('notification')).toMatchObject({ from: PREFILL, text: `for ${name}` })
      decode.say({ kind: 'digest', bytes: POOL_BYTES })
      expect((await decode.next('digest')).digest).toBe(await kv.range(0, POOL_BYTES).digest())
    }
    const back = agent.allocate(POOL_BYTES)
    await seam.transfer(admit(seam, { bytes: POOL_BYTES, from: 'decode-1', to: [PREFILL] }), {
      from: agent.peer('decode-1')!.region('pool').range(0, POOL_BYTES),
      to: back.range(0, POOL_BYTES),
    })
    expect(Buffer.compare(back.view(), kv.view())).toBe(0)
    expect(seam.policy.counters.permits).toMatchObject({ minted: 3, redeemed: 3, outstanding: 0 })
  })

  itOnMock(
    'a peer that is killed in the middle fails its own transfers, blamed on the peer, and no others',
    async () => {
      const { agent, decodes, push, path } = await openWith(['decode-0', 'decode-1'], 30)
      const doomed = push('decode-0')
      const healthy = push('decode-1', { bytes: 64 })
      await eventually('both posted', () => agent.counters.posted === 2)
      decodes.get('decode-0')!.child.kill('SIGKILL')
      const error = await refusalOf(async () => await doomed)
      expect(error).toMatchObject({ code: 'KVSEAM_PEER_DOWN', blame: 'peer', retryable: true })
      expect((await healthy).bytes).toBe(64)
      await eventually('path unusable', () => !path('decode-0').usable)
      expect(path('decode-1').usable).toBe(true)
      expect(path('decode-1').counters.failed).toBe(0)
      expect(path('decode-1').health.dropFraction).toBe(0)
      await eventually('sessions given back', () => path('decode-0').health.activeSessions === 0)
      expect(agent.counters).toMatchObject({ inFlight: 0, quarantined: 0 })
    },
  )

  it('a peer that comes back under its name is served on the same path', async () => {
    const { seam, agent, kv, decodes, push, path } = await openWith(['decode-0'])
    await push('decode-0')
    const before = path('decode-0')
    const first = agent.peer('decode-0')!
    decodes.get('decode-0')!.child.kill('SIGKILL')
    await eventually('gone', () => first.gone)
    const again = new DecodeProcess('decode-0', 0)
    const second = await seam.connect(agent, await again.metadata())
    expect(second.incarnation).not.toBe(first.incarnation)
    expect(path('decode-0')).toBe(before)
    await push('decode-0')
    again.say({ kind: 'digest', bytes: POOL_BYTES })
    expect((await again.next('digest')).digest).toBe(await kv.range(0, POOL_BYTES).digest())
    expect(await refusalOf(() => first.region('pool').range(0, 1))).toMatchObject({ code: 'KVSEAM_STALE_REGION' })
  })

  itOnMock(
    'a frozen process stops nobody, since its memory is written without it, and reads its mail when it goes on',
    async () => {
      const { decodes, push } = await openWith(['decode-0', 'decode-1'])
      const frozen = decodes.get('decode-0')!
      await freeze(frozen.child)
      try {
        expect((await push('decode-0', { notify: 'while asleep' })).bytes).toBe(POOL_BYTES)
        expect((await push('decode-1')).bytes).toBe(POOL_BYTES)
        await new Promise((resolve) => setTimeout(resolve, 100))
        expect(frozen.messages).toEqual([])
      } finally {
        frozen.child.kill('SIGCONT')
      }
      expect(await frozen.next('notification')).toMatchObject({ text: 'while asleep' })
    },
  )

  it('a handshake with a frozen process ends at its timeout', async () => {
    const { seam, agent, push } = await openWith(['decode-1'])
    const frozen = new DecodeProcess('decode-0', 0)
    const metadata = await frozen.metadata()
    await freeze(frozen.child)
    try {
      const error = await refusalOf(async () => await seam.connect(agent, metadata, { timeoutMs: 200 }))
      expect(error).toMatchObject({ code: 'KVSEAM_TIMEOUT', blame: 'peer' })
      await push('decode-1')
    } finally {
      frozen.child.kill('SIGCONT')
    }
    // Awake again, it is a peer like any other.
    await seam.connect(agent, metadata, { timeoutMs: PATIENCE_MS })
    await push('decode-0')
  })

  itOnMock('a transfer too slow for its deadline ends at the deadline, and the path is charged', async () => {
    const { push, path } = await openWith(['decode-0'], 120)
    const error = await refusalOf(async () => await push('decode-0', { deadlineMs: 100 }))
    expect(error).toMatchObject({ code: 'KVSEAM_TIMEOUT', blame: 'path' })
    // Unless this process was stalled itself meanwhile: then it says nothing about the path.
    const charged = error.facts['selfDelayed'] === true ? 0 : 1
    expect(path('decode-0').health).toMatchObject({ samples: charged, dropFraction: charged })
    await eventually('session given back', () => path('decode-0').health.activeSessions === 0)
  })

  it('a peer that closes its agent is down, and a clean end is no crash', async () => {
    const { decodes, path } = await openWith(['decode-0'])
    const decode = decodes.get('decode-0')!
    decode.say({ kind: 'close' })
    await decode.next('closed')
    await eventually('path unusable', () => !path('decode-0').usable)
    await decode.exited
    expect(decode.child.exitCode).toBe(0)
  })
})
