// Metadata and connections: refreshed, hostile, restarted, gone; and agents that are opened and closed again.

import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { openSeam, type SeamOptions } from '../../src/seam.js'
import { backendOptions } from '../backend.js'
import { admit, DECODE, eventually, openFor, openPair, PREFILL } from './pair.js'
import { expectRefusal, refusalOf } from './refusal.js'

async function openTwo(options: SeamOptions = {}) {
  const near = await openFor(options)
  const far = await openFor()
  const agent = await near.agent(PREFILL)
  const other = await far.agent(DECODE)
  return { near, far, agent, other }
}

const MAPPED = /memfd:kvseam-region/g
const mappedRegions = (): number => readFileSync('/proc/self/maps', 'utf8').match(MAPPED)?.length ?? 0

describe('metadata', () => {
  it('of a connected peer refreshes its regions and changes nothing else', async () => {
    const { near, agent, other } = await openTwo()
    other.allocate(4096, { name: 'first' })
    const peer = await near.connect(agent, other.metadata())
    const first = peer.region('first')
    const paths = [...near.paths].map((path) => path.id)
    other.allocate(8192, { name: 'second' })
    await expectRefusal(() => peer.region('second'), {
      code: 'KVSEAM_STALE_REGION',
      says: ["no region 'second'", 'first', 'fresh metadata'],
    })
    expect(await near.connect(agent, other.metadata())).toBe(peer)
    expect(peer.region('second').bytes).toBe(8192)
    expect(peer.regions.map((region) => region.name)).toEqual(['first', 'second'])
    expect([...near.paths].map((path) => path.id)).toEqual(paths)
    expect(first.range(0, 4096).count).toBe(1)
  })

  it('goes stale with the region it offers', async () => {
    const { near, agent, other } = await openTwo()
    const kv = agent.allocate(4096)
    const pool = other.allocate(4096, { name: 'pool' })
    const peer = await near.connect(agent, other.metadata())
    const to = peer.region('pool').range(0, 4096)
    await pool.close()
    // Nobody told this side; the backend finds out, and the path is not to blame.
    const error = await refusalOf(
      async () => await near.handoff({ from: kv.range(0, 4096), to, workload: 'batch', verify: 'off' }),
    )
    expect(error).toMatchObject({ code: 'KVSEAM_STALE_REGION', blame: 'peer' })
    expect([...near.paths].every((path) => path.health.samples === 0)).toBe(true)
    await near.connect(agent, other.metadata())
    expect(await refusalOf(() => peer.region('pool'))).toMatchObject({ code: 'KVSEAM_STALE_REGION' })
  })

  it('that is damaged anywhere is refused whole, and known peers stay as they were', async () => {
    const { near, agent, other } = await openTwo()
    other.allocate(4096, { name: 'pool' })
    const good = other.metadata()
    const peer = await near.connect(agent, good)
    const codes = new Set<string>()
    for (let at = 0; at < good.length; at += 3) {
      const bad = good.slice()
      bad[at] = bad[at]! ^ 0x41
      codes.add((await refusalOf(async () => await near.connect(agent, bad))).code)
    }
    for (const length of [0, 1, 15, 16, good.length - 1]) {
      codes.add((await refusalOf(async () => await near.connect(agent, good.slice(0, length)))).code)
    }
    codes.add((await refusalOf(async () => await near.connect(agent, new Uint8Array(2 << 20)))).code)
    expect([...codes]).toEqual(['KVSEAM_METADATA_INVALID'])
    expect(agent.peers).toEqual([peer])
    expect(peer.gone).toBe(false)
    expect(peer.region('pool').bytes).toBe(4096)
  })

  it.each([
    ['text', 'metadata is "text"'],
    [undefined, 'metadata is undefined'],
    [[1, 2], 'metadata is Array'],
  ])('that is %s is refused by name', async (metadata, text) => {
    const { near, agent } = await openTwo()
    await expectRefusal(async () => await near.connect(agent, metadata as never), {
      code: 'KVSEAM_INVALID_ARGUMENT',
      says: [text],
    })
  })

  it('of an agent that is gone names it as down, within the timeout', async () => {
    const { near, far, agent, other } = await openTwo()
    other.allocate(4096)
    const metadata = other.metadata()
    await far.close()
    const error = await refusalOf(async () => await near.connect(agent, metadata, { timeoutMs: 500 }))
    expect(['KVSEAM_PEER_DOWN', 'KVSEAM_STALE_REGION']).toContain(error.code)
    expect(error.blame).toBe('peer')
    expect(agent.peers).toEqual([])
  })

  it('of a peer that does not answer ends at the timeout', async () => {
    const { near, agent, other } = await openTwo()
    using faults = near.faults.arm('*.connect=drop')
    const error = await refusalOf(async () => await near.connect(agent, other.metadata(), { timeoutMs: 50 }))
    expect(error).toMatchObject({ code: 'KVSEAM_TIMEOUT', blame: 'peer' })
    void faults
    expect(agent.peers).toEqual([])
  })
})

describe('a peer', () => {
  it('that dies is reported once and its paths are no candidates any more', async () => {
    const { near, far, agent, other } = await openTwo()
    other.allocate(4096, { name: 'pool' })
    const kv = agent.allocate(4096)
    const peer = await near.connect(agent, other.metadata())
    const from = kv.range(0, 64)
    const to = peer.region('pool').range(0, 64)
    await far.close()
    await eventually('gone', () => peer.gone)
    expect(agent.peers).toEqual([])
    const error = await refusalOf(async () => await near.handoff({ from, to, workload: 'batch' }))
    expect(error).toMatchObject({ code: 'KVSEAM_NO_PATH' })
    expect(await refusalOf(async () => await agent.notify(peer, Uint8Array.of(1)))).toMatchObject({
      code: 'KVSEAM_PEER_DOWN',
    })
  })

  it('that comes back under its name is a new one on the same paths, and the old one stays stale', async () => {
    const { near, agent } = await openTwo({ profile: 'reference' }) // equal paths: the first one is taken
    const kv = agent.allocate(4096)
    const first = await openFor()
    const old = await first.agent('decode-7')
    old.allocate(4096, { name: 'pool' })
    const before = await near.connect(agent, old.metadata())
    const staleTo = before.region('pool').range(0, 64)
    await near.handoff({ from: kv.range(0, 64), to: staleTo, workload: 'batch' })
    const [path] = near.paths.between(PREFILL, 'decode-7')
    expect(path!.counters.succeeded).toBe(1)
    const paths = near.paths.size
    const samples = path!.health.samples

    // Without the old one having ended: the restart is seen by its new incarnation alone.
    const again = await openFor()
    const renewed = await again.agent('decode-7')
    const pool = renewed.allocate(4096, { name: 'pool' })
    kv.view().fill(8)
    const after = await near.connect(agent, renewed.metadata())
    expect(after).not.toBe(before)
    expect(after.incarnation).not.toBe(before.incarnation)
    expect(before.gone).toBe(true)
    expect(near.paths.size).toBe(paths)
    expect(path!.usable).toBe(true)
    // History belongs to the path, not to the life.
    expect(path!.health.samples).toBe(samples)
    const error = await refusalOf(
      async () => await near.handoff({ from: kv.range(0, 64), to: staleTo, workload: 'batch' }),
    )
    expect(['KVSEAM_FOREIGN_REGION', 'KVSEAM_STALE_REGION']).toContain(error.code)
    await near.handoff({ from: kv.range(0, 64), to: after.region('pool').range(0, 64), workload: 'batch' })
    expect(pool.read(0, 64).every((byte) => byte === 8)).toBe(true)
    // Metadata of the old life is not taken for the new one's.
    expect(await refusalOf(() => before.region('pool').range(0, 64))).toMatchObject({ code: 'KVSEAM_STALE_REGION' })
  })

  it('leaves no mapping behind, however often it comes back', async () => {
    const { near, agent } = await openTwo()
    const kv = agent.allocate(4096)
    let most = 0
    for (let life = 0; life < 12; life++) {
      const far = await openSeam(backendOptions)
      const other = await far.agent('decode-9')
      other.allocate(1 << 16, { name: 'pool' })
      const peer = await near.connect(agent, other.metadata())
      {
        using from = kv.range(0, 64)
        using to = peer.region('pool').range(0, 64)
        await near.handoff({ from, to, workload: 'batch' })
      }
      await far.close()
      await eventually('gone', () => peer.gone && agent.peers.length === 0)
      if (life === 2) most = mappedRegions()
    }
    // Other test files run in other threads of this process, hence the margin; a leak would be nine.
    expect(mappedRegions()).toBeLessThan(most + 5)
  })

  it('of another agent is refused', async () => {
    const { near, agent, other } = await openTwo()
    const peer = await near.connect(agent, other.metadata())
    await expectRefusal(async () => await other.notify(peer, Uint8Array.of(1)), {
      code: 'KVSEAM_INVALID_ARGUMENT',
      says: ['peer is Peer', DECODE],
    })
    await expectRefusal(async () => await near.connect(other, agent.metadata()), {
      code: 'KVSEAM_INVALID_ARGUMENT',
      says: ['agent is Agent', 'of this seam'],
    })
    await expectRefusal(async () => await near.connect(undefined as never, agent.metadata()), {
      code: 'KVSEAM_INVALID_ARGUMENT',
      says: ['agent is undefined'],
    })
  })
})

describe('an agent', () => {
  it('that was closed can be opened again under its name, on the same paths', async () => {
    const { seam, kv, decode } = await openPair()
    const paths = [...seam.paths].map((path) => path.id)
    await expectRefusal(async () => await seam.agent(DECODE), {
      code: 'KVSEAM_INVALID_ARGUMENT',
      says: [DECODE, 'close it first'],
    })
    await decode.close()
    await eventually('news of it', () => [...seam.paths].every((path) => !path.usable))
    expect(() => seam.policy.decide({ workload: 'batch', bytes: 1, from: PREFILL })).toThrowError(/connect the agents/)
    const again = await seam.agent(DECODE)
    expect(again.incarnation).not.toBe(decode.incarnation)
    expect([...seam.paths].map((path) => path.id)).toEqual(paths)
    const slots = again.allocate(4096)
    const moved = await seam.handoff({ from: kv.range(0, 64), to: slots.range(0, 64), workload: 'batch' })
    expect(moved.verified).toBe(true)
  })

  it('refuses everything after close(), with what to do', async () => {
    const { seam, decode, prefill, slots } = await openPair()
    const decision = admit(seam, { bytes: 64 })
    await decode.close()
    await decode.close()
    await decode[Symbol.asyncDispose]()
    expect(decode.closed).toBe(true)
    for (const use of [
      () => decode.allocate(64),
      () => decode.metadata(),
      () => decode.counters,
      async () => await decode.connect(prefill.metadata()),
      async () => await decode.notify(prefill.peers[0]!, Uint8Array.of(1)),
    ]) {
      expect(await refusalOf(use)).toMatchObject({ code: 'KVSEAM_CLOSED' })
    }
    expect(await refusalOf(() => slots.read())).toMatchObject({ code: 'KVSEAM_CLOSED' })
    expect(await refusalOf(() => decision.path.counters)).toMatchObject({ code: 'KVSEAM_CLOSED' })
  })

  it.each([
    [{ maxTransfers: 0 }, 'maxTransfers is 0'],
    [{ maxTransfers: 65_537 }, 'maxTransfers is 65537'],
    [{ maxTransfers: '8' }, 'maxTransfers is "8"'],
    [{ spinUs: -1 }, 'spinUs is -1'],
    [{ quiesceGraceMs: Number.NaN }, 'quiesceGraceMs is NaN'],
    [{ rails: [{ name: 'a b' }] }, 'rails[0].name is "a b"'],
    [{ rails: [{ name: 'a', latencyUs: -5 }] }, 'rails[0].latencyUs is -5'],
    [{ rails: [{ name: 'a' }, { name: 'a' }] }, 'rails[1].name is "a"'],
    [{ rails: 'a' }, 'rails is "a"'],
    [{ rails: [null] }, 'rails[0] is null'],
    [{ rail: [] }, 'options.rail'],
    ['options', 'options is "options"'],
  ])('with the options %j is refused and nothing is left', async (options, text) => {
    const seam = await openFor()
    const error = await refusalOf(async () => await seam.agent('agent-0', options as never))
    expect(error.message).toContain(text)
    expect(seam.agents).toEqual([])
    // The name is free.
    await seam.agent('agent-0')
  })

  it.each(['', 'a/b', 'a>b', 5, undefined])('named %j is refused', async (name) => {
    const seam = await openFor()
    expect(await refusalOf(async () => await seam.agent(name as string))).toMatchObject({
      code: 'KVSEAM_INVALID_ARGUMENT',
    })
  })
})
