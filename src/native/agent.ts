// One end of the data plane in this process: rails, regions, peers. It posts transfers, but only with a permit.

import { name as checkName, knownKeys, bytes as plainBytes, refuse, spanNs, waitMs, wholeNumber } from '../check.js'
import { SeamError } from '../errors.js'
import {
  type AgentCounters,
  type Binding,
  binding,
  type NativeAgentInfo,
  type NativeEvent,
  type NativeRail,
} from './binding.js'
import { Completions, stuckError } from './completions.js'
import type { Descriptors } from './descriptors.js'
import { HISTOGRAM_SIZE, LatencySnapshot } from './latency.js'
import { type Notification, NotificationQueue } from './notification-queue.js'
import { Peer } from './peer.js'
import { ProbeSeriesTable } from './probe-series.js'
import { Region } from './region.js'
import type { RemoteRegion } from './remote-region.js'
import type { Transfer } from './transfer.js'

/** How long a close waits for cancelled transfers to come back before it stops the thread all the same. */
const CANCEL_MS = 500

export interface RailOptions {
  /** Unique within the agent; part of path ids. */
  readonly name: string
  /** What the backend opens for it; its own choice unless told. */
  readonly device?: string
  /** Mock: modelled rate, as fast as memory unless told. Others: nominal rate. */
  readonly bytesPerSecond?: number
  /** Mock: modelled one-way latency, microseconds. */
  readonly latencyUs?: number
}

export interface AgentOptions {
  readonly rails?: readonly RailOptions[]
  /** Transfers submitted and not yet quiesced; one more is KVSEAM_QUEUE_FULL. 4,096 unless told, at most 65,536. */
  readonly maxTransfers?: number
  /** How long the progress thread polls after its last work before it sleeps, microseconds; 20 unless told. */
  readonly spinUs?: number
  /** A settled transfer that has not quiesced after this is quarantined, milliseconds; 2,000 unless told. */
  readonly quiesceGraceMs?: number
  /** @internal Benchmarks only. */
  readonly wakePerCompletion?: boolean
}

export interface PostOptions {
  readonly permit: number
  readonly path: number
  readonly operation: number
  readonly local: Descriptors
  readonly remote: Descriptors
  /** Part of both lists to move; the whole unless told. */
  readonly first?: number
  readonly count?: number
  readonly timeoutMs: number
  readonly notify?: Uint8Array | undefined
}

interface Waiter {
  /** performance.now() */
  readonly untilMs: number
  resolve(peer: Peer): void
  reject(error: Error): void
}

export class Agent {
  readonly name: string
  readonly info: NativeAgentInfo
  /** @internal */
  readonly native: Binding
  /** @internal */
  readonly handle: number
  /** @internal */
  readonly probes: ProbeSeriesTable
  readonly #completions: Completions
  readonly #peers = new Map<string, Peer>()
  readonly #connecting = new Map<number, Waiter[]>()
  readonly #imports = new Map<string, { region: Region | RemoteRegion; handle: number }>()
  readonly #notifications = new NotificationQueue()
  #regionNumber = 0
  #closed = false
  #closing: Promise<void> | undefined
  /** @internal Called when a peer is gone. */
  onPeerDown: (peer: Peer, error: Error | undefined) => void = () => {}
  /** @internal Called when an injected fault wants something of this thread. */
  onFault: () => void = () => {}

  /** @internal Use `seam.agent()`. */
  constructor(gate: number, backend: string, name: string, options: AgentOptions = {}) {
    this.name = checkName('name', name)
    knownKeys('options', options, ['rails', 'maxTransfers', 'spinUs', 'quiesceGraceMs', 'wakePerCompletion'])
    const given = options.rails ?? []
    if (!Array.isArray(given)) throw refuse('KVSEAM_INVALID_ARGUMENT', 'rails', given, 'it must be an array of rails')
    const rails = (given as readonly RailOptions[]).map((rail, i, all) => {
      knownKeys(`rails[${i}]`, rail, ['name', 'device', 'bytesPerSecond', 'latencyUs'])
      if (all.findIndex((other) => other?.name === rail.name) < i) {
        throw refuse(
          'KVSEAM_INVALID_ARGUMENT',
          `rails[${i}].name`,
          rail.name,
          'another rail of this agent has that name',
        )
      }
      return {
        name: checkName(`rails[${i}].name`, rail.name),
        ...(rail.device === undefined ? {} : { device: rail.device }),
        bytesPerSecond: wholeNumber(`rails[${i}].bytesPerSecond`, rail.bytesPerSecond ?? 0),
        latencyNs: Math.round(wholeNumber(`rails[${i}].latencyUs`, rail.latencyUs ?? 0, 0, 60_000_000) * 1e3),
      }
    })
    this.native = binding()
    const wakePerCompletion = options.wakePerCompletion === true
    this.#completions = new Completions(this.native, name, (event) => this.#onEvent(event), wakePerCompletion)
    this.#completions.onStuck = (lagNs) => this.#rejectOverdue(lagNs)
    this.handle = this.native.openAgent(
      gate,
      {
        name,
        backend,
        rails,
        maxTransfers: wholeNumber('maxTransfers', options.maxTransfers ?? 4096, 1, 65_536),
        spinNs: wholeNumber('spinUs', options.spinUs ?? 20, 0, 1_000_000) * 1000,
        quiesceGraceNs: spanNs('quiesceGraceMs', options.quiesceGraceMs ?? 2000),
        wakePerCompletion,
      },
      this.#completions.onWake,
    )
    this.#completions.attach(this.handle)
    this.probes = new ProbeSeriesTable(this.native, this.handle, this.#completions)
    this.info = this.native.agentInfo(this.handle)
  }

  get closed(): boolean {
    return this.#closed
  }

  get rails(): readonly NativeRail[] {
    return this.info.rails
  }

  /** New at every start, so that a restarted agent is never taken for the old one. */
  get incarnation(): string {
    return this.info.incarnation
  }

  get counters(): AgentCounters {
    this.#assertOpen()
    const counters = this.native.agentCounters(this.handle)
    counters.droppedNotifications += this.#notifications.dropped
    return counters
  }

  get peers(): readonly Peer[] {
    return [...this.#peers.values()]
  }

  /**
   * Registers `bytes` bytes of zeroed memory under a name that peers can find it by.
   * @throws KVSEAM_OUT_OF_BOUNDS, KVSEAM_NO_MEMORY, KVSEAM_REGISTRATION_FAILED; nothing is changed then
   */
  allocate(bytes: number, { name = `region-${++this.#regionNumber}` }: { name?: string } = {}): Region {
    this.#assertOpen()
    wholeNumber('bytes', bytes, 1)
    checkName('name', name)
    return new Region(this, name, bytes, this.native.allocate(this.handle, bytes, name))
  }

  /** What a peer needs to reach this agent and its present regions; opaque, at most 1 MiB. */
  metadata(): Uint8Array {
    this.#assertOpen()
    return this.native.metadata(this.handle)
  }

  /**
   * Connects to the agent that exported `metadata`. Metadata of a connected peer in the same life only refreshes its regions.
   * @throws KVSEAM_METADATA_INVALID, KVSEAM_INCOMPATIBLE, KVSEAM_PEER_DOWN, KVSEAM_TIMEOUT; known peers are untouched then
   */
  async connect(metadata: Uint8Array, { timeoutMs = 2000 }: { timeoutMs?: number } = {}): Promise<Peer> {
    this.#assertOpen()
    const index = this.native.connect(this.handle, plainBytes('metadata', metadata), spanNs('timeoutMs', timeoutMs))
    const info = this.native.peerInfo(this.handle, index)!
    const known = this.#peers.get(info.name)
    if (known !== undefined && known.index === index) return known
    known?.markGone() // the same name in a new life: the addon drops the old one as soon as it hears of the new
    const untilMs = performance.now() + timeoutMs
    return await new Promise<Peer>((resolve, reject) => {
      const waiters = this.#connecting.get(index)
      if (waiters !== undefined) {
        waiters.push({ untilMs, resolve, reject })
        return
      }
      this.#connecting.set(index, [{ untilMs, resolve, reject }])
      this.#completions.hold()
    })
  }

  peer(name: string): Peer | undefined {
    return this.#peers.get(name)
  }

  /** Control messages from peers, in order of arrival, each to one reader; ends when the agent is closed. */
  notifications(): AsyncGenerator<Notification, void, void> {
    return this.#notifications.read()
  }

  /** @internal Number of the native path; the same for the same rails and peer. */
  path(localRail: number, peer: Peer, remoteRail: number): { index: number; key: number } {
    const index = this.native.addPath(this.handle, localRail, peer.index, remoteRail)
    return { index, key: this.native.pathKey(this.handle, index) }
  }

  /** @internal Posts one transfer; the addon refuses it without a valid permit. */
  post(options: PostOptions): Transfer {
    this.#assertOpen()
    const local = options.local.listFor(this)
    const remote = options.remote.listFor(this)
    return this.#completions.track(
      this.native.post(
        this.handle,
        options.permit,
        options.path,
        options.operation,
        local,
        remote,
        options.first ?? 0,
        options.count ?? Math.max(options.local.count, options.remote.count),
        Math.ceil(options.timeoutMs * 1e6),
        options.notify,
      ),
    )
  }

  /** @internal The hot form of post: numbers only. */
  postNumbers(
    permit: number,
    path: number,
    operation: number,
    local: number,
    remote: number,
    first: number,
    count: number,
    timeoutNs: number,
  ): Transfer {
    return this.#completions.track(
      this.native.post(this.handle, permit, path, operation, local, remote, first, count, timeoutNs),
    )
  }

  /** Sends a control message of 1 to 1,024 bytes to a peer; it carries no KV bytes and needs no permit. */
  async notify(peer: Peer, data: Uint8Array, { timeoutMs = 2000 }: { timeoutMs?: number } = {}): Promise<void> {
    this.#assertOpen()
    if (peer?.agent !== this) {
      throw refuse('KVSEAM_INVALID_ARGUMENT', 'peer', peer, `pass a peer that agent '${this.name}' is connected to`)
    }
    const { index } = this.path(0, peer, 0)
    const payload = plainBytes('data', data)
    await this.#completions.track(this.native.notify(this.handle, index, payload, spanNs('timeoutMs', timeoutMs)))
      .settled
  }

  /** @internal Latency of one path's successful transfers; phase 0 post, 1 wire, 2 total. */
  latency(path: number, operation: number, phase: 0 | 1 | 2): LatencySnapshot {
    const raw = new Float64Array(HISTOGRAM_SIZE)
    this.native.histogram(this.handle, path, operation, phase, raw)
    return new LatencySnapshot(raw)
  }

  /** @internal Handle of a region as this agent sees it: its own, or one of a peer's. */
  locate(region: Region | RemoteRegion): { handle: number; remote: boolean } {
    if (region instanceof Region && region.agent === this) return { handle: region.handle, remote: false }
    const peer = region instanceof Region ? this.#peerFor(region.agent) : region.peer
    if (peer.agent !== this) {
      throw new SeamError(
        'KVSEAM_FOREIGN_REGION',
        { agent: this.name, region: region.name },
        `region '${region.name}' is known to agent '${peer.agent.name}', not to '${this.name}'; connect '${this.name}' to its owner`,
      )
    }
    const key = `${peer.index}/${region.name}`
    const known = this.#imports.get(key)
    if (region instanceof Region && known?.region !== region) {
      // Allocated after the two agents met, or anew under an old name. Same life, so this only refreshes the regions.
      this.native.connect(this.handle, region.agent.metadata(), 1e9)
    }
    if (known !== undefined) this.native.releaseRemoteRegion(this.handle, known.handle)
    const handle = this.native.remoteRegion(this.handle, peer.index, region.name)
    this.#imports.set(key, { region, handle })
    return { handle, remote: true }
  }

  /** @internal */
  releaseList(list: number): void {
    if (!this.#closed) this.native.releaseList(this.handle, list)
  }

  /**
   * Ends the agent: waits up to `drainMs` for transfers in flight, cancels the rest, stops the thread. Idempotent and bounded.
   * Nothing is called back after it resolves.
   */
  async close({ drainMs = 0 }: { drainMs?: number } = {}): Promise<void> {
    waitMs('drainMs', drainMs)
    this.#closing ??= this.#close(drainMs)
    await this.#closing
  }

  /** @internal Waits up to `drainMs` for transfers in flight, then cancels the rest and waits a little for them. */
  async quiet(drainMs: number): Promise<void> {
    if (drainMs > 0) await this.#completions.whenIdle(drainMs)
    this.#completions.cancelAll()
    await this.#completions.whenIdle(CANCEL_MS)
  }

  async #close(drainMs: number): Promise<void> {
    await this.quiet(drainMs)
    this.#closed = true
    try {
      this.native.closeAgent(this.handle, 200e6)
    } finally {
      while (this.#completions.drain()) {}
      // A thread that is stuck inside its backend delivers nothing any more, and every transfer must settle.
      this.#completions.settleRest(this.#closedError())
      this.#completions.detach()
      for (const waiters of this.#connecting.values()) for (const waiter of waiters) waiter.reject(this.#closedError())
      this.#connecting.clear()
      this.#notifications.end()
      this.probes.close(this.#closedError())
      this.native.freeAgent(this.handle)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close({ drainMs: 2000 })
  }

  #peerFor(other: Agent): Peer {
    const peer = this.#peers.get(other.name)
    if (peer === undefined || peer.incarnation !== other.incarnation) {
      throw new SeamError(
        'KVSEAM_FOREIGN_REGION',
        { agent: this.name, owner: other.name },
        `agent '${this.name}' is not connected to '${other.name}'; open both in one seam or exchange metadata with connect()`,
      )
    }
    return peer
  }

  /** Handshakes are the progress thread's work too; the late answer of one that was given up here finds nobody waiting. */
  #rejectOverdue(lagNs: number): void {
    const nowMs = performance.now()
    for (const [index, waiters] of this.#connecting) {
      const left = waiters.filter((waiter) => waiter.untilMs > nowMs)
      for (const waiter of waiters) if (!left.includes(waiter)) waiter.reject(stuckError(this.name, lagNs))
      if (left.length > 0) {
        this.#connecting.set(index, left)
      } else {
        this.#connecting.delete(index)
        this.#completions.letGo()
      }
    }
  }

  #onEvent(event: NativeEvent): void {
    switch (event.kind) {
      case 'notification':
        this.#notifications.push({ from: event.name, data: event.data })
        break
      case 'connected': {
        const waiters = this.#connecting.get(event.peer) ?? []
        this.#connecting.delete(event.peer)
        if (waiters.length > 0) this.#completions.letGo()
        if (event.error !== undefined) {
          for (const waiter of waiters) waiter.reject(event.error)
          break
        }
        const peer = new Peer(this, event.peer, this.native.peerInfo(this.handle, event.peer)!)
        const former = this.#peers.get(peer.name)
        if (former !== undefined) this.#forgetRegions(former)
        this.#peers.set(peer.name, peer)
        for (const waiter of waiters) waiter.resolve(peer)
        break
      }
      case 'peer-down': {
        const peer = [...this.#peers.values()].find((known) => known.index === event.peer)
        if (peer === undefined) break
        this.#peers.delete(peer.name)
        peer.markGone()
        this.#forgetRegions(peer)
        this.onPeerDown(peer, event.error)
        break
      }
      case 'fault':
        this.onFault()
        break
      case 'probe':
        this.probes.deliver(event)
        break
    }
  }

  /** Unmaps what a dead peer offered, or its memory would stay for as long as this agent does. */
  #forgetRegions(peer: Peer): void {
    for (const [key, { handle }] of this.#imports) {
      if (!key.startsWith(`${peer.index}/`)) continue
      this.native.releaseRemoteRegion(this.handle, handle)
      this.#imports.delete(key)
    }
  }

  #assertOpen(): void {
    if (this.#closed) throw this.#closedError()
  }

  #closedError(): SeamError {
    return new SeamError(
      'KVSEAM_CLOSED',
      { agent: this.name },
      `agent '${this.name}' is closed; open a new one with seam.agent()`,
    )
  }
}
