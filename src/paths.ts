// Every path the seam can use, by id. A path is the unit of health: source agent and rail, destination agent and rail.

import type { Agent } from './native/agent.js'
import { OPERATION } from './native/binding.js'
import type { LatencySnapshot } from './native/latency.js'
import type { Peer } from './native/peer.js'
import type { PathSnapshot } from './policy/policy.js'

/** How the bytes of a path move: the destination reads (pull) or the source writes (push). */
export type PathMode = 'pull' | 'push'

export class Path {
  /** `prefill-0/efa0>decode-0/efa1` */
  readonly id: string
  readonly from: string
  readonly to: string
  readonly fromRail: string
  readonly toRail: string
  readonly mode: PathMode
  /** Where figures measured on it come from. */
  readonly label: 'mock' | 'emulated' | 'real'
  /** @internal Index in the policy. */
  readonly policyIndex: number
  readonly #snapshot: () => PathSnapshot
  #agent: Agent
  #peer: Peer
  #index: number
  #key: number

  /** @internal */
  constructor(init: {
    id: string
    from: string
    to: string
    fromRail: string
    toRail: string
    mode: PathMode
    policyIndex: number
    agent: Agent
    peer: Peer
    native: { index: number; key: number }
    snapshot: () => PathSnapshot
  }) {
    this.id = init.id
    this.from = init.from
    this.to = init.to
    this.fromRail = init.fromRail
    this.toRail = init.toRail
    this.mode = init.mode
    this.label = init.agent.info.label
    this.policyIndex = init.policyIndex
    this.#agent = init.agent
    this.#snapshot = init.snapshot
    this.#peer = init.peer
    this.#index = init.native.index
    this.#key = init.native.key
  }

  /** State and figures as the policy sees them now. */
  get health(): PathSnapshot {
    return this.#snapshot()
  }

  get state(): PathSnapshot['state'] {
    return this.#snapshot().state
  }

  /** Both ends are there. A path that is not usable is no candidate. */
  get usable(): boolean {
    return !this.agent.closed && !this.#peer.gone
  }

  /** Measured natively over successful transfers, submit to arrived unless another phase is asked for. */
  latency(phase: 'post' | 'wire' | 'total' = 'total'): LatencySnapshot {
    return this.agent.latency(this.#index, this.operation, PHASES[phase])
  }

  get counters(): { bytes: number; succeeded: number; failed: number } {
    return this.agent.native.pathCounters(this.agent.handle, this.#index)
  }

  /** @internal */
  get operation(): number {
    return this.mode === 'pull' ? OPERATION.read : OPERATION.write
  }

  /** @internal */
  get nativeIndex(): number {
    return this.#index
  }

  /** @internal As permits name it. */
  get key(): number {
    return this.#key
  }

  /** @internal The agent that posts. */
  get agent(): Agent {
    return this.#agent
  }

  /** @internal One end came back in a new life; the path keeps its history. */
  rebind(agent: Agent, peer: Peer, native: { index: number; key: number }): void {
    this.#agent = agent
    this.#peer = peer
    this.#index = native.index
    this.#key = native.key
  }
}

const PHASES = { post: 0, wire: 1, total: 2 } as const

export class PathTable implements Iterable<Path> {
  readonly #byId = new Map<string, Path>()

  /** @internal */
  add(path: Path): void {
    this.#byId.set(path.id, path)
  }

  get(id: string): Path | undefined {
    return this.#byId.get(id)
  }

  get size(): number {
    return this.#byId.size
  }

  /** Paths from one agent to another, in the order in which they were registered. */
  between(from: string, to: string): Path[] {
    return [...this.#byId.values()].filter((path) => path.from === from && path.to === to)
  }

  [Symbol.iterator](): IterableIterator<Path> {
    return this.#byId.values()
  }
}
