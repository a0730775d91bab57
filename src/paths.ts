// Every path the seam can use, by id. A path is the unit of health: source agent and rail, destination agent and rail.

import type { Agent } from './native/agent.js'
import { OPERATION, PROBE_KIND } from './native/binding.js'
import { HISTOGRAM_SIZE, type LatencySnapshot } from './native/latency.js'
import type { Peer } from './native/peer.js'
import type { PathSnapshot } from './policy/policy.js'
import { ProbeLatency } from './probe/probe-latency.js'
import { type ProbeKind, type ProbeOptions, probeKind } from './probe/probe-options.js'
import type { ProbeReport } from './probe/probe-report.js'

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
  #agent: Agent
  /** Named shared elements whose failure takes the path with it. */
  readonly riskGroups: readonly string[]
  readonly #snapshot: () => PathSnapshot
  readonly #probe: (path: Path, options: ProbeOptions) => Promise<ProbeReport>
  readonly #reports: ProbeReport[] = []
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
    riskGroups: readonly string[]
    snapshot: () => PathSnapshot
    probe: (path: Path, options: ProbeOptions) => Promise<ProbeReport>
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
    this.riskGroups = init.riskGroups
    this.#snapshot = init.snapshot
    this.#probe = init.probe
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

  /**
   * Measures the path with a series of operations over memory of its own, posted and timed by the progress thread: a busy
   * event loop neither delays nor lengthens them. Operations that fail are part of the report, not an error.
   * @throws KVSEAM_CONFIG_INVALID, KVSEAM_INVALID_ARGUMENT, KVSEAM_OUT_OF_BOUNDS for options that make no sense;
   *   KVSEAM_STALE_EPOCH when the peer is gone, KVSEAM_NOT_SUPPORTED when the backend or the peer cannot be probed so,
   *   KVSEAM_QUEUE_FULL when 256 probes of the agent are running, KVSEAM_CLOSED; the signal's reason when it was aborted
   */
  async probe(options: ProbeOptions = {}): Promise<ProbeReport> {
    return await this.#probe(this, options)
  }

  /** Reports of the newest probes, the background's among them, oldest first; at most 32. */
  probes(): readonly ProbeReport[] {
    return [...this.#reports]
  }

  /**
   * What all probes of one kind have shown on this path, to its peer's present life; null before the first.
   * @throws KVSEAM_INVALID_ARGUMENT for an unknown kind
   */
  probeLatency(kind: ProbeKind): ProbeLatency | null {
    const raw = new Float64Array(HISTOGRAM_SIZE)
    const number = PROBE_KIND[probeKind('kind', kind)]
    const figures = this.agent.native.probeFigures(this.agent.handle, this.#index, number, raw)
    return figures === null ? null : new ProbeLatency(raw, figures)
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

  /** @internal What the rails of the source agent carry together as far as they say, bytes a second. */
  get sourceBytesPerSecond(): number {
    const { rails } = this.mode === 'pull' ? this.#peer : this.agent
    return rails.reduce((sum, rail) => sum + rail.bytesPerSecond, 0)
  }

  /** @internal */
  keep(report: ProbeReport): void {
    this.#reports.push(report)
    if (this.#reports.length > MOST_REPORTS) this.#reports.shift()
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

const MOST_REPORTS = 32

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
