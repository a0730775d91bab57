// Rows 2 and 3: a peer that freezes, alone or together with this side, and one that comes back from the dead.

import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, onTestFinished, vi } from 'vitest'
import type { SeamError } from '../../src/index.js'
import { peerDownChannel } from '../../src/observe/channels.js'
import { LATE_MS } from './oracles/ledger.js'
import { PeerProcess } from './peer-process.js'
import { BYTES, DETECTION_MS, puller } from './puller.js'
import { row, rowOnMock } from './row.js'

describe('a peer process', () => {
  row(2, 'that is frozen while nothing moves is down within 2 s, and another peer stays', async () => {
    const [frozen, other] = await Promise.all([PeerProcess.start('prefill-0'), PeerProcess.start('prefill-1')])
    const { seam, agent, pull, ledger } = await puller()
    const peers = [await seam.connect(agent, frozen.metadata), await seam.connect(agent, other.metadata)] as const
    const down: { peer: string; atMs: number }[] = []
    const onDown = (message: unknown): void => {
      down.push({ peer: (message as { peer: string }).peer, atMs: performance.now() })
    }
    peerDownChannel.subscribe(onDown)
    onTestFinished(() => void peerDownChannel.unsubscribe(onDown))
    await sleep(600) // a few signs of life
    expect(down).toEqual([])
    await frozen.freeze()
    const frozenMs = performance.now()
    await vi.waitFor(() => expect(down).toHaveLength(1), { timeout: 10_000, interval: 5 })
    expect(down[0]?.peer).toBe('prefill-0')
    expect(down[0]!.atMs - frozenMs).toBeLessThan(DETECTION_MS)
    expect(peers.map((peer) => peer.gone)).toEqual([true, false])
    for (const path of seam.paths) expect(path.usable).toBe(path.id.includes('prefill-1'))
    expect(() => pull(peers[0])).toThrow(expect.objectContaining({ code: 'KVSEAM_NO_PATH' }))
    await pull(peers[1]).settled
    await ledger.allQuiesced()
    ledger.check()
  })

  rowOnMock(2, 'that is frozen in the middle of transfers ends each of them once within 2 s', async () => {
    const frozen = await PeerProcess.start('prefill-0', { bytesPerSecond: BYTES / 8 })
    const { seam, agent, ledger, pull } = await puller()
    const peer = await seam.connect(agent, frozen.metadata)
    const doomed = Array.from({ length: 6 }, () => pull(peer))
    await frozen.freeze()
    const frozenMs = performance.now()
    const errors = await Promise.all(doomed.map((transfer) => transfer.settled.catch((error: SeamError) => error)))
    expect(performance.now() - frozenMs).toBeLessThan(DETECTION_MS)
    for (const error of errors) expect(error).toMatchObject({ code: 'KVSEAM_PEER_DOWN', blame: 'peer' })
    await ledger.allQuiesced()
    ledger.check()
    frozen.thaw()
    const again = await seam.connect(agent, frozen.metadata)
    expect(again.gone).toBe(false)
    await expect(pull(again, 300).settled).rejects.toMatchObject({ code: 'KVSEAM_TIMEOUT' }) // as slow as before
    await ledger.allQuiesced()
    ledger.check()
  })

  row(2, 'that was stopped together with the other side is not taken for dead when both wake', async () => {
    const [writer, other] = await Promise.all([
      PeerProcess.start('prefill-0', { bytesPerSecond: BYTES / 8 }), // long enough not to be over by then
      PeerProcess.start('decode-0', { fill: 0 }),
    ])
    writer.send({ write: Buffer.from(other.metadata).toString('base64'), into: 'kv' })
    expect(await writer.next()).toEqual({ writing: true })
    await other.freeze()
    await sleep(400) // so that no sign of life waits for the writer to wake
    await writer.freeze()
    await sleep(DETECTION_MS)
    writer.thaw()
    await sleep(500) // awake before the other, it must wait for its signs of life once more
    other.thaw()
    expect(await writer.next()).toEqual({ wrote: null })
  })

  row(2, 'that is frozen lets a connect end at its own deadline, and its transfers at theirs', async () => {
    const frozen = await PeerProcess.start('prefill-0', { bytesPerSecond: BYTES / 4 })
    const { seam, agent, ledger, pull } = await puller()
    const peer = await seam.connect(agent, frozen.metadata)
    await frozen.freeze()
    const transfer = pull(peer, 300)
    await expect(transfer.settled).rejects.toMatchObject({ code: 'KVSEAM_TIMEOUT' })
    const { agent: second } = await puller()
    const start = performance.now()
    await expect(second.connect(frozen.metadata, { timeoutMs: 200 })).rejects.toMatchObject({
      code: 'KVSEAM_TIMEOUT',
      blame: 'peer',
    })
    expect(performance.now() - start).toBeLessThan(200 + LATE_MS)
    await ledger.allQuiesced()
    ledger.check()
  })

  row(3, 'that comes back after it was given up connects anew, and its late answer changes nothing', async () => {
    const frozen = await PeerProcess.start('prefill-0')
    const { agent, seam, pull, ledger } = await puller()
    await frozen.freeze()
    await expect(seam.connect(agent, frozen.metadata, { timeoutMs: 100 })).rejects.toMatchObject({
      code: 'KVSEAM_TIMEOUT',
    })
    frozen.thaw()
    await sleep(100) // its answer to the first handshake is on the way
    expect(agent.peer('prefill-0')).toBeUndefined()
    const peer = await seam.connect(agent, frozen.metadata)
    await pull(peer).settled
    await ledger.allQuiesced()
    ledger.check()
  })

  rowOnMock(
    3,
    'that is thawed in the middle of a write does not reach memory that was taken back meanwhile',
    async () => {
      const writer = await PeerProcess.start('prefill-0', { bytesPerSecond: 2 * BYTES })
      const { agent } = await puller(2 * BYTES)
      const landing = agent.allocate(BYTES, { name: 'landing' })
      const kept = landing.view()
      writer.send({ write: Buffer.from(agent.metadata()).toString('base64') })
      expect(await writer.next()).toEqual({ writing: true })
      while (kept[0] !== 0xee) await sleep(1)
      await writer.freeze()
      const frozenAt = kept.lastIndexOf(0xee)
      expect(frozenAt).toBeLessThan(BYTES - 1)
      await landing.close()
      const fresh = agent.allocate(BYTES, { name: 'landing' })
      fresh.view().fill(0x11)
      writer.thaw()
      expect(await writer.next()).toEqual({ wrote: 'KVSEAM_STALE_REGION' })
      expect(fresh.view().every((byte) => byte === 0x11)).toBe(true)
    },
  )
})
