// UCX between processes: push and pull, death, freezing, rebirth, and that one peer's end is nobody else's.

import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { type Agent, openSeam, type Peer, type Region, type Seam, SeamError } from '../../src/index.js'
import { freeze } from '../freeze.js'
import { PeerProcess } from './peer-process.js'
import { ucxHere } from './ucx-here.js'

const BLOCK = 4096
const IDS = [5, 1, 9, 200]

let seam: Seam | undefined
afterEach(async () => {
  await seam?.close()
  seam = undefined
})

/** `profile`: under `default` a path whose peer died proves itself for some seconds first; under `reference` a slow one is isolated. */
async function open(
  devices = 'tcp/lo',
  bytes = 1 << 20,
  profile: 'default' | 'reference' = 'reference',
): Promise<{ seam: Seam; agent: Agent; pool: Region }> {
  seam = await openSeam({
    profile,
    backend: 'ucx',
    rails: devices.split(',').map((device, i) => ({ name: `rail${i}`, device })),
  })
  const agent = await seam.agent('here')
  const pool = agent.allocate(bytes, { name: 'pool' })
  pool.view().fill(7)
  return { seam, agent, pool }
}

async function push(seam: Seam, pool: Region, peer: Peer, notify?: string) {
  return await seam.handoff({
    from: pool.blocks(BLOCK, IDS),
    to: peer.region('pool').blocks(BLOCK, IDS),
    workload: 'batch',
    deadlineMs: 20_000,
    verify: 'off',
    ...(notify === undefined ? {} : { notify: Buffer.from(notify) }),
  })
}

describe.skipIf(!ucxHere)('UCX between processes', { timeout: 120_000 }, () => {
  it.each(['tcp/lo', 'shm'])('pushes with a notification and is pulled from, on %s', async (devices) => {
    const { seam, agent, pool } = await open(devices)
    const child = await PeerProcess.start('there', { devices })
    const peer = await seam.connect(agent, child.metadata)
    await push(seam, pool, peer, 'look')
    expect(await child.hears('text')).toBe('look')
    child.say({ kind: 'digest', blockBytes: BLOCK, ids: IDS })
    expect(await child.hears('digest')).toBe(await pool.blocks(BLOCK, IDS).digest())
    child.say({
      kind: 'pull',
      metadata: Buffer.from(agent.metadata()).toString('base64'),
      blockBytes: BLOCK,
      ids: [0, 3],
    })
    expect(await child.hears('pulled')).toBe(2 * BLOCK)
    child.say({ kind: 'digest', blockBytes: BLOCK, ids: [0, 3] })
    expect(await child.hears('digest')).toBe(await pool.blocks(BLOCK, [0, 3]).digest())
  })

  it.each(['tcp/lo', 'shm'])('a killed peer is down, and only it, on %s', async (devices) => {
    const { seam, agent, pool } = await open(devices)
    const [doomed, steady] = await Promise.all([
      PeerProcess.start('doomed', { devices }),
      PeerProcess.start('steady', { devices }),
    ])
    const victim = await seam.connect(agent, doomed.metadata)
    const other = await seam.connect(agent, steady.metadata)
    await push(seam, pool, victim)
    doomed.child.kill('SIGKILL')
    await expect
      .poll(
        async () =>
          await push(seam, pool, victim).then(
            () => 'done',
            (error) => error.code,
          ),
        { timeout: 20_000 },
      )
      .toMatch(/KVSEAM_(PEER_DOWN|STALE_EPOCH|STALE_REGION|NOT_ADMISSIBLE|INVALID_ARGUMENT)/)
    await push(seam, pool, other)
    // The same name in another life is met as another peer.
    const reborn = await PeerProcess.start('doomed', { devices })
    const again = await seam.connect(agent, reborn.metadata)
    expect(again.incarnation).not.toBe(victim.incarnation)
    await push(seam, pool, again, 'welcome back')
    expect(await reborn.hears('text')).toBe('welcome back')
  })

  it('a frozen peer is noticed, and met again when it thaws', async () => {
    const { seam, agent, pool } = await open()
    const child = await PeerProcess.start('frozen')
    const peer = await seam.connect(agent, child.metadata)
    await push(seam, pool, peer)
    await freeze(child.child)
    const from = performance.now()
    await expect(push(seam, pool, peer)).rejects.toMatchObject({ code: 'KVSEAM_PEER_DOWN' })
    expect(performance.now() - from).toBeLessThan(10_000)
    child.child.kill('SIGCONT')
    const again = await seam.connect(agent, child.metadata)
    await push(seam, pool, again, 'hello')
    expect(await child.hears('text')).toBe('hello')
  })

  // Asleep when it was stopped, too: nothing moves between two reads of a reader that waits for its peer.
  it.each(['tcp/lo', 'shm'])('a peer that was stopped together with this side lives on, on %s', async (devices) => {
    const [owner, reader] = await Promise.all([
      PeerProcess.start('owner', { devices }),
      PeerProcess.start('reader', { devices }),
    ])
    const metadata = Buffer.from(owner.metadata).toString('base64')
    reader.say({ kind: 'pull', metadata, blockBytes: BLOCK, ids: IDS })
    expect(await reader.hears('pulled')).toBe(IDS.length * BLOCK)
    await freeze(owner.child)
    await freeze(reader.child)
    await sleep(2500)
    reader.child.kill('SIGCONT')
    await sleep(400) // awake before the other, it must wait for its signs of life once more
    owner.child.kill('SIGCONT')
    // A peer that was given up would have to be met anew; the handle of the first meeting still works.
    reader.say({ kind: 'pull again', blockBytes: BLOCK, ids: IDS })
    expect(await reader.hears('pulled')).toBe(IDS.length * BLOCK)
  })

  it('owners survive readers that are killed while they read', async () => {
    const bytes = 16 << 20
    const { seam, agent } = await open('tcp/lo', bytes)
    const metadata = Buffer.from(agent.metadata()).toString('base64')
    const ids = Array.from({ length: bytes / 32_768 }, (_, i) => i)
    for (let round = 0; round < 4; round++) {
      const reader = await PeerProcess.start(`reader-${round}`, { bytes })
      reader.say({ kind: 'pull', metadata, blockBytes: 32_768, ids, forever: true })
      await reader.hears('pulled')
      await sleep(20)
      reader.child.kill('SIGKILL')
      await reader.exited()
    }
    const last = await PeerProcess.start('last', { bytes })
    last.say({ kind: 'pull', metadata, blockBytes: 32_768, ids })
    expect(await last.hears('pulled')).toBe(bytes)
    expect(seam.agents).toHaveLength(1)
  })

  it('memory that a peer withdraws is stale, and the peer lives on', async () => {
    const { seam, agent, pool } = await open()
    const child = await PeerProcess.start('owner')
    const peer = await seam.connect(agent, child.metadata)
    const to = peer.region('pool').blocks(BLOCK, IDS)
    child.say({ kind: 'withdraw' })
    await child.hears('withdrawn')
    await expect
      .poll(
        async () =>
          await seam
            .handoff({ from: pool.blocks(BLOCK, IDS), to, workload: 'batch', deadlineMs: 20_000, verify: 'off' })
            .then(
              () => 'done',
              (error) => error.code,
            ),
        { timeout: 20_000 },
      )
      .toBe('KVSEAM_STALE_REGION')
    child.say({ kind: 'stop' })
    expect(await child.exited()).toEqual({ code: 0, signal: null })
  })

  it.each(['tcp/lo', 'shm'])('memory withdrawn under a reader is read whole or not at all, on %s', async (devices) => {
    const bytes = 16 << 20
    const blockBytes = 32_768
    const ids = Array.from({ length: bytes / blockBytes }, (_, i) => i)
    const { seam, agent, pool } = await open(devices, bytes, 'default')
    const child = await PeerProcess.start('owner', { devices, bytes })
    const peer = await seam.connect(agent, child.metadata)
    child.say({ kind: 'digest', blockBytes, ids })
    const whole = await child.hears('digest')
    const to = pool.blocks(blockBytes, ids)
    const request = { from: peer.region('pool').blocks(blockBytes, ids), to, workload: 'batch', verify: 'off' } as const
    let stale = false
    let reads = 0
    while (!stale) {
      pool.view().fill(0)
      try {
        const done = await seam.handoff({ ...request, deadlineMs: 20_000 })
        await done.quiesced
        expect(await to.digest()).toBe(whole)
        if (++reads === 3) child.say({ kind: 'withdraw' }) // heard while the next ones move
      } catch (error) {
        if (!SeamError.is(error) || error.code !== 'KVSEAM_STALE_REGION') throw error
        stale = true
      }
    }
    await child.hears('withdrawn')
    child.say({ kind: 'stop' })
    expect(await child.exited()).toEqual({ code: 0, signal: null })
  })
})
