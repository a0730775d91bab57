// openSeam: the agents of this process, the paths between them and their peers, and the policy that admits transfers.

import { randomBytes } from 'node:crypto'
import { name as checkName, knownKeys, positive, refuse, wholeNumber } from './check.js'
import { SeamError } from './errors.js'
import { faultEnvironment } from './faults/environment.js'
import { Faults } from './faults/faults.js'
import {
  type HandoffRequest,
  type HandoffResult,
  handoff,
  type MoveRequest,
  type MoveResult,
  move,
} from './handoff/handoff.js'
import { Agent, type AgentOptions, type RailOptions } from './native/agent.js'
import { type BackendLoad, binding } from './native/binding.js'
import type { Peer } from './native/peer.js'
import { peerDownChannel } from './observe/channels.js'
import { type Admitted, Orchestrator } from './orchestrator.js'
import { Path, PathTable } from './paths.js'
import type { Policy } from './policy/policy.js'
import { createReferencePolicy } from './policy/reference/profile.js'
import { WORKLOADS, type WorkloadProfile } from './policy/workload.js'
import { RecordLog } from './record/record-log.js'

/** What openSeam() logs to: pino's, fastify's or any object with these two methods. */
export interface SeamLogger {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}

export interface SeamOptions {
  /** Which transport moves the bytes; `mock` unless told. */
  readonly backend?: string
  /** Rails of every agent that names none of its own; the backend's choice unless told. */
  readonly rails?: readonly RailOptions[]
  /** Rules that admit transfers; `reference` (the published ones) unless told. */
  readonly profile?: 'reference'
  /** Workload classes beside release, interactive and batch. */
  readonly workloads?: readonly WorkloadProfile[]
  /** Sessions a path carries at once; the profile's default (8) unless told. */
  readonly sessionsPerPath?: number
  /** Which rails make a path: those of equal position (`aligned`) or every pair (`all`). */
  readonly pairing?: 'aligned' | 'all'
  /** File that decision and transition records are appended to as JSON lines; none unless told. */
  readonly recordLog?: string
  /** Deadline of a transfer without one of its own, milliseconds; 5,000 unless told. */
  readonly deadlineMs?: number
  /** A permit that is not used within this is void, milliseconds; 1,000 unless told. */
  readonly permitTtlMs?: number
  readonly logger?: SeamLogger
  /**
   * Fault rules to arm from the start, such as `rail0.read=5%error(timeout)`; those of KVSEAM_FAULTS come before them.
   * More can be armed later with `seam.faults.arm()`.
   */
  readonly faults?: string
  /** Microseconds, never going back; the process's monotonic clock unless told. */
  readonly clockUs?: () => number
}

const OPTION_NAMES = [
  'backend',
  'rails',
  'profile',
  'workloads',
  'sessionsPerPath',
  'pairing',
  'recordLog',
  'deadlineMs',
  'permitTtlMs',
  'logger',
  'faults',
  'clockUs',
] as const satisfies readonly (keyof SeamOptions)[]

export interface BackendInfo {
  readonly name: string
  /** Where figures measured through it come from; null until an agent is open. */
  readonly label: 'mock' | 'emulated' | 'real' | null
  readonly provider: string | null
  readonly version: string | null
  /** What loading its library changed in this process; null for a backend that needs none. */
  readonly loaded: BackendLoad | null
}

export interface ConnectOptions {
  /** Group of decode agents that can serve the same request; the peer's name unless told. */
  readonly pool?: string
  readonly timeoutMs?: number
}

/** Told once a process. */
const warnedTwins = new Set<string>()

/** Longest a close waits for the log, beside its drain. */
const LOG_CLOSE_MS = 2000

export class Seam {
  readonly paths = new PathTable()
  /** Judges requests: `decide`, `explain`, `observe`, `release`. */
  readonly policy: Orchestrator
  /** Fault injection: `arm`, `report`, `resume`. */
  readonly faults: Faults
  readonly #policy: Policy
  readonly #backend: string
  readonly #rails: readonly RailOptions[] | undefined
  readonly #gate: number
  readonly #agents = new Map<string, Agent>()
  readonly #pools = new Map<string, string>()
  readonly #log: RecordLog | undefined
  readonly #logger: SeamLogger | undefined
  readonly #deadlineMs: number
  readonly #sessionsPerPath: number
  readonly #pairing: 'aligned' | 'all'
  readonly #clockUs: () => number
  #closing: Promise<void> | undefined

  /** @internal Use openSeam(). */
  constructor(options: SeamOptions) {
    knownKeys('options', options, OPTION_NAMES)
    this.#backend = options.backend ?? 'mock'
    this.#rails = options.rails
    const profile = options.profile ?? 'reference'
    if (profile !== 'reference')
      throw refuse('KVSEAM_CONFIG_INVALID', 'options.profile', profile, "known is 'reference'")
    this.#pairing = options.pairing ?? 'aligned'
    if (this.#pairing !== 'aligned' && this.#pairing !== 'all') {
      throw refuse('KVSEAM_CONFIG_INVALID', 'options.pairing', options.pairing, "known are 'aligned' and 'all'")
    }
    this.#sessionsPerPath = wholeNumber('options.sessionsPerPath', options.sessionsPerPath ?? 0, 0, 1_000_000)
    this.#deadlineMs = positive('options.deadlineMs', options.deadlineMs ?? 5000, 86_400_000)
    const permitTtlMs = positive('options.permitTtlMs', options.permitTtlMs ?? 1000, 60_000)
    const workloads = new Map<string, WorkloadProfile>(Object.entries(WORKLOADS))
    for (const workload of options.workloads ?? [])
      workloads.set(checkName('options.workloads[].name', workload.name), workload)

    const native = binding()
    const unavailable = native.probeBackend(this.#backend)
    if (unavailable !== null) throw unavailable
    this.#logger = options.logger
    this.#clockUs = options.clockUs ?? (() => Math.floor(performance.now() * 1000))
    this.#policy = createReferencePolicy()
    const environment = faultEnvironment()
    this.faults = new Faults(
      environment,
      () => this.#agents.values(),
      (code, message, facts) => {
        this.#logger?.warn({ code, ...facts }, message)
        process.emitWarning(message, { code })
      },
    )
    if (environment.source !== undefined) this.faults.armFrom(environment.source)
    if (options.faults !== undefined) this.faults.armFrom({ origin: 'openSeam({ faults })', text: options.faults })
    this.#log = options.recordLog === undefined ? undefined : new RecordLog(options.recordLog)
    this.#gate = native.openGate()
    this.policy = new Orchestrator({
      policy: this.#policy,
      gate: this.#gate,
      paths: this.paths,
      workloads,
      clockUs: this.#clockUs,
      epoch: randomBytes(6).toString('hex'),
      label: () => this.backend.label ?? 'mock',
      faulted: () => this.faults.armed,
      defaultDeadlineMs: this.#deadlineMs,
      permitTtlMs,
      log: this.#log,
    })
  }

  get backend(): BackendInfo {
    const first = this.#agents.values().next().value
    return {
      name: this.#backend,
      label: first?.info.label ?? null,
      provider: first?.info.provider ?? null,
      version: first?.info.version ?? null,
      loaded: binding().loadReport(this.#backend),
    }
  }

  get agents(): readonly Agent[] {
    return [...this.#agents.values()]
  }

  /** Records that were written to the log and that were lost on the way. */
  get records(): { file: string | null; written: number; lost: number } {
    return { file: this.#log?.file ?? null, written: this.#log?.written ?? 0, lost: this.#log?.lost ?? 0 }
  }

  /**
   * Opens an agent in this process and connects it with the seam's other agents, both ways.
   * @param options `pool`: the group of decode agents it belongs to; its own name unless told
   */
  async agent(name: string, options: AgentOptions & { readonly pool?: string } = {}): Promise<Agent> {
    this.#assertOpen()
    if (this.#agents.has(name)) {
      throw refuse('KVSEAM_INVALID_ARGUMENT', 'name', name, 'this seam has an agent of that name; close it first')
    }
    const { pool, ...agentOptions } = options
    const withRails = this.#rails === undefined ? agentOptions : { rails: this.#rails, ...agentOptions }
    const agent = new Agent(this.#gate, this.#backend, name, withRails)
    this.#warnOfTwins()
    try {
      this.faults.attach(agent)
    } catch (error) {
      await agent.close()
      throw error
    }
    this.#pools.set(name, pool ?? name)
    agent.onPeerDown = (peer, error) => this.#peerDown(agent, peer, error)
    const others = [...this.#agents.values()].filter((other) => !other.closed)
    this.#agents.set(name, agent)
    try {
      await Promise.all(
        others.flatMap((other) => [
          agent.connect(other.metadata()).then((peer) => this.#addPaths(other.name, agent, peer, 'pull')),
          other.connect(agent.metadata()).then((peer) => this.#addPaths(agent.name, other, peer, 'pull')),
        ]),
      )
    } catch (error) {
      this.#agents.delete(name)
      await agent.close()
      throw error
    }
    return agent
  }

  /**
   * Connects an agent of this seam with one of another process and makes their paths: reads from the peer (pull) and writes
   * to it (push), both posted here. Metadata of a known peer refreshes its regions.
   */
  async connect(agent: Agent, metadata: Uint8Array, options: ConnectOptions = {}): Promise<Peer> {
    this.#assertOpen()
    const peer = await agent.connect(metadata, options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs })
    this.#pools.set(peer.name, options.pool ?? this.#pools.get(peer.name) ?? peer.name)
    this.#addPaths(peer.name, agent, peer, 'pull')
    this.#addPaths(agent.name, agent, peer, 'push')
    return peer
  }

  /**
   * Decides, moves the blocks over the admitted path, verifies, gives the session back.
   * @throws KVSEAM_NOT_ADMISSIBLE (with `decision`), KVSEAM_TIMEOUT, KVSEAM_PEER_DOWN, KVSEAM_INTEGRITY, ...; the
   *   signal's reason when it was aborted
   */
  async handoff(request: HandoffRequest): Promise<HandoffResult> {
    this.#assertOpen()
    return await handoff(this.policy, request, this.#deadlineMs)
  }

  /** Moves the blocks of a decision made before, e.g. when the destination blocks depend on the chosen agent. */
  async transfer(decision: Admitted, request: MoveRequest): Promise<MoveResult> {
    this.#assertOpen()
    return await move(this.policy, decision, request, this.#deadlineMs)
  }

  /** Ends everything: waits up to `drainMs` for transfers in flight, then closes agents, gate and log. Idempotent. */
  async close({ drainMs = 0 }: { drainMs?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(drainMs)
    await this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close({ drainMs: 2000 })
  }

  async #close(drainMs: number): Promise<void> {
    try {
      await Promise.all([...this.#agents.values()].map((agent) => agent.close({ drainMs })))
    } finally {
      this.faults.close()
      this.policy.close()
      binding().closeGate(this.#gate)
      await this.#log?.close(LOG_CLOSE_MS)
    }
  }

  #addPaths(from: string, agent: Agent, peer: Peer, mode: 'pull' | 'push'): void {
    const source = mode === 'pull' ? peer : agent
    const target = mode === 'pull' ? agent : peer
    for (const [i, fromRail] of source.rails.entries()) {
      for (const [j, toRail] of target.rails.entries()) {
        if (this.#pairing === 'aligned' && i !== j) continue
        const native = mode === 'pull' ? agent.path(j, peer, i) : agent.path(i, peer, j)
        const id = `${from}/${fromRail.name}>${target.name}/${toRail.name}`
        const known = this.paths.get(id)
        if (known !== undefined) {
          known.rebind(peer, native)
          continue
        }
        const policyIndex = this.#policy.addPath(
          {
            id,
            pool: this.#pools.get(target.name) ?? target.name,
            maxSessions: this.#sessionsPerPath,
            softCapacityFraction: 0,
            riskGroups: [`rail:${from}/${fromRail.name}`, `rail:${target.name}/${toRail.name}`],
          },
          this.#clockUs(),
        )
        const path = new Path({
          id,
          from,
          to: target.name,
          fromRail: fromRail.name,
          toRail: toRail.name,
          mode,
          policyIndex,
          agent,
          peer,
          native,
          snapshot: () => this.#policy.snapshot(policyIndex),
        })
        this.paths.add(path)
        this.policy.register(path)
      }
    }
  }

  /** Only now: a transport may load parts of itself when it opens its first device. */
  #warnOfTwins(): void {
    for (const twins of binding().loadReport(this.#backend)?.twins ?? []) {
      if (warnedTwins.has(twins)) continue
      warnedTwins.add(twins)
      const message = `this process has two copies of ${twins}; load one (see LD_LIBRARY_PATH and what else brings its own)`
      this.#logger?.warn({ backend: this.#backend, twins }, message)
      process.emitWarning(message, { code: 'KVSEAM_TWIN_LIBRARIES' })
    }
  }

  #peerDown(agent: Agent, peer: Peer, error: Error | undefined): void {
    this.#logger?.warn({ agent: agent.name, peer: peer.name, err: error }, 'peer is down')
    if (peerDownChannel.hasSubscribers) {
      peerDownChannel.publish({ agent: agent.name, peer: peer.name, incarnation: peer.incarnation, error })
    }
  }

  #assertOpen(): void {
    if (this.#closing !== undefined) {
      throw new SeamError('KVSEAM_CLOSED', {}, 'the seam is closed; open a new one with openSeam()')
    }
  }
}

/**
 * Opens a seam: backend checked, policy ready, no agent yet.
 * @throws KVSEAM_CONFIG_INVALID, KVSEAM_BACKEND_UNAVAILABLE (with the reason), KVSEAM_ADDON_MISSING, KVSEAM_RECORD_LOG
 */
export async function openSeam(options: SeamOptions = {}): Promise<Seam> {
  return new Seam(options)
}
