// Memory that a peer offers. It can be described and transferred from or to; its bytes are not here.

import type { Agent } from './agent.js'
import { Describable, type Side } from './descriptors.js'
import type { Peer } from './peer.js'

export class RemoteRegion extends Describable {
  readonly peer: Peer
  readonly name: string
  readonly bytes: number
  protected readonly side: Side

  /** @internal Use `peer.region()`. */
  constructor(agent: Agent, peer: Peer, name: string, bytes: number) {
    super()
    this.peer = peer
    this.name = name
    this.bytes = bytes
    this.side = { agent, peer: peer.name }
  }
}
