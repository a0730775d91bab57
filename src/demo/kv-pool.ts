// The KV cache of one process in the demo: one region laid out like the model's cache, and its blocks.

import { KvBlockAllocator } from '../kv/block-allocator.js'
import type { Agent } from '../native/agent.js'
import type { Descriptors } from '../native/descriptors.js'
import type { Peer } from '../native/peer.js'
import type { Region } from '../native/region.js'
import { integerAt, streamOf } from '../random.js'
import type { DemoPlan } from './plan.js'

type Layout = Pick<DemoPlan, 'parts' | 'blockBytes' | 'poolBlocks'>

export const POOL_NAME = 'kv'
const NOISE_BYTES = 1 << 20

function layoutOf(plan: Layout): { blockBytes: number; parts: number; strideBytes: number } {
  return { blockBytes: plan.blockBytes, parts: plan.parts, strideBytes: plan.blockBytes * plan.poolBlocks }
}

/** Blocks of the pool that a peer has. */
export function remoteBlocks(peer: Peer, plan: Layout, ids: Uint32Array): Descriptors {
  return peer.region(POOL_NAME).layout(layoutOf(plan)).of(ids)
}

export class KvPool {
  readonly region: Region
  readonly blocks: KvBlockAllocator
  readonly #plan: Layout
  readonly #noise: Uint8Array
  readonly #seed: number

  constructor(agent: Agent, plan: Layout, seed: number) {
    this.#plan = plan
    this.#seed = seed
    this.region = agent.allocate(plan.parts * plan.poolBlocks * plan.blockBytes, { name: POOL_NAME })
    this.blocks = new KvBlockAllocator({ blocks: plan.poolBlocks })
    // Touched once now: the first write to a page costs several times the later ones.
    const view = this.region.view()
    for (let at = 0; at < view.length; at += 4096) view[at] = 0
    this.#noise = noise(seed)
  }

  descriptors(ids: Uint32Array): Descriptors {
    return this.region.layout(layoutOf(this.#plan)).of(ids)
  }

  /** Writes what a prefill would: bytes that differ from request to request, so that a mix-up changes the digest. */
  fill(requestId: number, ids: Uint32Array): void {
    const { parts, blockBytes, poolBlocks } = this.#plan
    const view = this.region.view()
    const draws = streamOf(this.#seed, 'demo-kv', requestId)
    for (let part = 0; part < parts; part++) {
      const base = part * poolBlocks * blockBytes
      for (let first = 0; first < ids.length; ) {
        let end = first + 1
        while (end < ids.length && ids[end] === ids[end - 1]! + 1) end++
        let at = base + ids[first]! * blockBytes
        let left = (end - first) * blockBytes
        while (left > 0) {
          const from = integerAt(draws, part * ids.length + first, NOISE_BYTES / 2)
          const bytes = Math.min(left, NOISE_BYTES / 2)
          view.set(this.#noise.subarray(from, from + bytes), at)
          at += bytes
          left -= bytes
        }
        first = end
      }
    }
  }
}

function noise(seed: number): Uint8Array {
  const draws = streamOf(seed, 'demo-noise')
  const words = new Uint32Array(NOISE_BYTES / 4)
  for (let i = 0; i < words.length; i++) words[i] = integerAt(draws, i, 2 ** 32)
  return new Uint8Array(words.buffer)
}
