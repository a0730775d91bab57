// The memory of one end of a benchmark: one region whose bytes tell where they belong, cut into blocks as each cell needs.

import type { Agent } from '../native/agent.js'
import type { Descriptors } from '../native/descriptors.js'
import type { Peer } from '../native/peer.js'
import type { Region } from '../native/region.js'
import { integerAt, streamOf } from '../random.js'

const POOL_NAME = 'bench'
const NOISE_BYTES = 1 << 20
const STAMP_EVERY_BYTES = 4096

/** How the region is cut for one cell; the same on both ends. */
export interface Cut {
  readonly blockBytes: number
  readonly parts: number
  /** Blocks of each part in the whole region. */
  readonly poolBlocks: number
}

function layoutOf({ blockBytes, parts, poolBlocks }: Cut): { blockBytes: number; parts: number; strideBytes: number } {
  return { blockBytes, parts, strideBytes: blockBytes * poolBlocks }
}

export function remoteBlocks(peer: Peer, cut: Cut, ids: Uint32Array): Descriptors {
  return peer.region(POOL_NAME).layout(layoutOf(cut)).of(ids)
}

export class BenchPool {
  readonly region: Region

  constructor(agent: Agent, bytes: number) {
    this.region = agent.allocate(bytes, { name: POOL_NAME })
  }

  blocks(cut: Cut, ids: Uint32Array): Descriptors {
    return this.region.layout(layoutOf(cut)).of(ids)
  }

  async digest(cut: Cut, ids: Uint32Array): Promise<number> {
    const descriptors = this.blocks(cut, ids)
    try {
      return await descriptors.digest()
    } finally {
      descriptors.release()
    }
  }

  /** Noise of the seed, with the offset written into it every 4 KiB: a block in a wrong place has a wrong digest. */
  fill(seed: number): void {
    const view = this.region.view()
    const draws = streamOf(seed, 'bench-noise')
    const words = new Uint32Array(NOISE_BYTES / 4)
    for (let i = 0; i < words.length; i++) words[i] = integerAt(draws, i, 2 ** 32)
    const noise = new Uint8Array(words.buffer)
    for (let at = 0; at < view.length; at += NOISE_BYTES) {
      view.set(noise.subarray(0, Math.min(NOISE_BYTES, view.length - at)), at)
    }
    const stamps = new DataView(view.buffer, view.byteOffset, view.byteLength)
    for (let at = 0; at + 4 <= view.length; at += STAMP_EVERY_BYTES) stamps.setUint32(at, at / STAMP_EVERY_BYTES + 1)
  }

  /** So that bytes of an earlier run are not taken for arrived ones. */
  clear(): void {
    this.region.view().fill(0)
  }
}
