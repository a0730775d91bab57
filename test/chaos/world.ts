// The agents, peers and memory of a chaos run, and what has to be put right after each round.

import { openSeam, type Path, type Seam } from '../../src/index.js'
import type { Agent } from '../../src/native/agent.js'
import type { Peer } from '../../src/native/peer.js'
import { BLOCK_BYTES, GuardedBlocks } from './blocks.js'
import { ChaosPeer } from './peer.js'

const OWN = ['prefill-0', 'prefill-1', 'decode-0', 'decode-1'] as const
const PEER = 'peer-0'
const BLOCKS = 512
const PEER_BLOCKS = 4096

export class ChaosWorld {
  readonly seam: Seam
  readonly own: readonly string[]
  readonly foreign: readonly string[]
  readonly #source = new Map<string, GuardedBlocks>()
  readonly #target = new Map<string, GuardedBlocks>()
  #peer: ChaosPeer
  #peerBlock = 0

  private constructor(seam: Seam, peer: ChaosPeer) {
    this.seam = seam
    this.#peer = peer
    for (const agent of seam.agents) {
      const bytes = 2 * BLOCKS * BLOCK_BYTES
      this.#source.set(agent.name, new GuardedBlocks(agent.allocate(bytes, { name: 'out' })))
      this.#target.set(agent.name, new GuardedBlocks(agent.allocate(bytes, { name: 'in' })))
    }
    const ids = [...seam.paths].map((path) => path.id).sort() // connects end in any order
    this.foreign = ids.filter((id) => id.includes(PEER))
    this.own = ids.filter((id) => !id.includes(PEER))
  }

  static async open(): Promise<ChaosWorld> {
    const seam = await openSeam({ profile: 'reference', sessionsPerPath: 100_000 })
    for (const name of OWN) await seam.agent(name)
    const peer = await ChaosPeer.start(PEER, PEER_BLOCKS * BLOCK_BYTES)
    await seam.connect(seam.agents[0]!, peer.metadata)
    return new ChaosWorld(seam, peer)
  }

  get peer(): ChaosPeer {
    return this.#peer
  }

  path(id: string): Path {
    return this.seam.paths.get(id)!
  }

  source(path: Path): GuardedBlocks {
    return this.#source.get(path.from)!
  }

  target(path: Path): GuardedBlocks {
    return this.#target.get(path.to)!
  }

  /** Blocks of the peer that nothing else of this round uses. */
  peerBlocks(count: number): number[] {
    const first = this.#peerBlock
    this.#peerBlock = (first + count) % (PEER_BLOCKS - 8)
    return Array.from({ length: count }, (_, i) => first + i)
  }

  peerOf(path: Path): Peer {
    return path.agent.peer(PEER)!
  }

  agent(name: string): Agent {
    return this.seam.agents.find((agent) => agent.name === name)!
  }

  async killPeer(): Promise<void> {
    await this.#peer.kill()
  }

  /** Connects again whatever a round has cut or killed. */
  async mend(killed: boolean): Promise<void> {
    if (killed) {
      this.#peer = await ChaosPeer.start(PEER, PEER_BLOCKS * BLOCK_BYTES)
      this.#peerBlock = 0
      await this.seam.connect(this.seam.agents[0]!, this.#peer.metadata)
    }
    for (const agent of this.seam.agents) {
      for (const other of this.seam.agents) {
        if (other === agent || agent.peer(other.name) !== undefined) continue
        await this.seam.connect(agent, other.metadata())
      }
    }
  }

  damage(): { canaries: number; missing: number } {
    const all = [...this.#source.values(), ...this.#target.values()].map((blocks) => blocks.damage())
    return {
      canaries: all.reduce((sum, one) => sum + one.canaries, 0),
      missing: all.reduce((sum, one) => sum + one.missing, 0),
    }
  }

  async close(): Promise<void> {
    await this.#peer.kill()
    await this.seam.close()
  }
}
