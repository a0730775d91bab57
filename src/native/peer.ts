// Another agent that this one is connected to, in one life of it: a restarted agent is a new peer with the same name.

import { SeamError } from '../errors.js'
import type { Agent } from './agent.js'
import type { NativePeerInfo, NativeRail } from './binding.js'
import { RemoteRegion } from './remote-region.js'

export class Peer {
  readonly agent: Agent
  /** @internal Number within the agent. */
  readonly index: number
  readonly name: string
  readonly incarnation: string
  readonly rails: readonly NativeRail[]
  #gone = false

  /** @internal Use `agent.connect()`. */
  constructor(agent: Agent, index: number, info: NativePeerInfo) {
    this.agent = agent
    this.index = index
    this.name = info.name
    this.incarnation = info.incarnation
    this.rails = info.rails
  }

  /** It died, was disconnected, or came back in a new life; its paths refuse transfers. */
  get gone(): boolean {
    return this.#gone || this.agent.closed
  }

  /** @internal The addon has dropped it. Kept here, because every decision asks each of its candidates. */
  markGone(): void {
    this.#gone = true
  }

  /** Names and sizes of the regions in the metadata last loaded. */
  get regions(): readonly { name: string; bytes: number }[] {
    return this.agent.native.peerInfo(this.agent.handle, this.index)?.regions ?? []
  }

  /** @throws KVSEAM_STALE_REGION when the metadata last loaded offers no such region */
  region(name: string): RemoteRegion {
    const found = this.regions.find((region) => region.name === name)
    if (found === undefined) {
      const known = this.regions.map((region) => region.name).join(', ')
      throw new SeamError(
        'KVSEAM_STALE_REGION',
        { peer: this.name, region: name },
        `peer '${this.name}' offers no region '${name}' (it offers: ${known === '' ? 'none' : known}); allocate it there, then connect with fresh metadata`,
      )
    }
    return new RemoteRegion(this.agent, this, name, found.bytes)
  }
}
