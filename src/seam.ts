// openSeam: the agents of this process, the paths between them and their peers, and the policy that admits transfers.

import { randomBytes } from 'node:crypto'
import { name as checkName, knownKeys, object, positive, refuse, waitMs, wholeNumber } from './check.js'
import { type PartialSettings, policyHash } from './config/policy-settings.js'
import { settingsFrom } from './config/policy-source.js'
import type { Admitted } from './decision.js'
import { SeamError } from './errors.js'
import { faultEnvironment } from './faults/environment.js'
import { Faults } from './faults/faults.js'
import { FaultedReleases } from './faults/releases.js'
import {
  type HandoffRequest,
  type HandoffResult,
  handoff,
  type MoveDefaults,
  type MoveRequest,
  type MoveResult,
  move,
} from './handoff/handoff.js'
import { Agent, type AgentOptions, type RailOptions } from './native/agent.js'
import { type BackendLoad, binding, type NativeRail } from './native/binding.js'
import type { Peer } from './native/peer.js'
import { peerDownChannel } from './observe/channels.js'
import { Orchestrator } from './orchestrator.js'
import { Path, PathTable } from './paths.js'
import { createPolicy, isProfile, PROFILES, type Profile } from './policy/create.js'
import type { NominalRate } from './policy/policy.js'
import type { PolicySettings } from './policy/settings.js'
import { WORKLOADS, type WorkloadProfile } from './policy/workload.js'
import { type BackgroundProbeOptions, backgroundRules } from './probe/background-options.js'
import { RecordLog } from './record/record-log.js'
import { recordStream } from './record/record-stream.js'

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
  /** Rules that admit transfers; `default` unless told, `reference` for the published ones. */
  readonly profile?: Profile
  /** Settings of the `default` and `isolate` profiles (docs/default-policy.md); they override the file and the environment. */
  readonly policy?: PartialSettings
  /** JSON file of such settings, read at the start and at `policy.reload()`; KVSEAM_POLICY_FILE unless told. */
  readonly policyFile?: string
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
  /** Moves larger than this are cut into transfers of about this many bytes, each failing for itself; 16 MiB unless told. */
  readonly chunkBytes?: number
  /** A permit that is not used within this is void, milliseconds; 1,000 unless told. */
  readonly permitTtlMs?: number
  /**
   * Probing of idle, doubtful and isolated paths in the background, within a budget for each source agent. Off under the
   * `reference` profile unless limits are given (then only isolated paths learn from it), on otherwise.
   */
  readonly probes?: 'off' | BackgroundProbeOptions
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
  'policy',
  'policyFile',
  'workloads',
  'sessionsPerPath',
  'pairing',
  'recordLog',
  'deadlineMs',
  'chunkBytes',
  'permitTtlMs',
  'probes',
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

let gateNumber: (seam: Seam) => number

/** @internal Number of the permit book, for benchmarks that mint beforehand. Not reachable from outside the package. */
export function gateOf(seam: Seam): number {
  return gateNumber(seam)
}

export class Seam {
  static {
    gateNumber = (seam) => seam.#gate
  }

  readonly paths = new PathTable()
  /** Judges requests: `decide`, `explain`, `observe`, `release`. */
  readonly policy: Orchestrator
  /** Fault injection: `arm`, `report`, `resume`. */
  readonly faults: Faults
  readonly #backend: string
  readonly #rails: readonly RailOptions[] | undefined
  readonly #gate: number
  readonly #agents = new Map<string, Agent>()
  readonly #pools = new Map<string, string>()
  readonly #log: RecordLog | undefined
  readonly #logger: SeamLogger | undefined
  readonly #defaults: MoveDefaults
  readonly #sessionsPerPath: number
  readonly #pairing: 'aligned' | 'all'
  #closing: Promise<void> | undefined

  /** @internal Use openSeam(). */
  constructor(options: SeamOptions) {
    knownKeys('options', options, OPTION_NAMES)
    this.#backend = options.backend ?? 'mock'
    this.#rails = options.rails
    const profile = options.profile ?? 'default'
    if (!isProfile(profile)) {
      throw refuse('KVSEAM_CONFIG_INVALID', 'options.profile', profile, `known are ${PROFILES.join(', ')}`)
    }
    const settingsWith = (changes: PartialSettings): PolicySettings =>
      settingsFrom({ file: options.policyFile, env: process.env, options: { ...options.policy, ...changes } })
    const settings = settingsWith({})
    this.#pairing = options.pairing ?? 'aligned'
    if (this.#pairing !== 'aligned' && this.#pairing !== 'all') {
      throw refuse('KVSEAM_CONFIG_INVALID', 'options.pairing', options.pairing, "known are 'aligned' and 'all'")
    }
    this.#sessionsPerPath = wholeNumber('options.sessionsPerPath', options.sessionsPerPath ?? 0, 0, 1_000_000)
    this.#defaults = {
      deadlineMs: positive('options.deadlineMs', options.deadlineMs ?? 5000, 86_400_000),
      chunkBytes: wholeNumber('options.chunkBytes', options.chunkBytes ?? 16_777_216, 1),
    }
    const permitTtlMs = positive('options.permitTtlMs', options.permitTtlMs ?? 1000, 60_000)
    checkOptionTypes(options)
    const probes = backgroundRules(options.probes, profile)
    const workloads = new Map<string, WorkloadProfile>(Object.entries(WORKLOADS))
    for (const workload of options.workloads ?? [])
      workloads.set(checkName('options.workloads[].name', workload.name), workload)

    const native = binding()
    const unavailable = native.probeBackend(this.#backend)
    if (unavailable !== null) throw unavailable
    this.#logger = options.logger
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
      policy: createPolicy(profile, settings, policyHash(profile, settings)),
      settings: profile === 'reference' ? null : settings,
      settingsWith,
      gate: this.#gate,
      paths: this.paths,
      workloads,
      clockUs: options.clockUs ?? (() => Math.floor(performance.now() * 1000)),
      stream: recordStream(this.#log, {
        epoch: randomBytes(6).toString('hex'),
        // Asked for every transfer, so not by way of `backend`, which also reports what was loaded.
        label: () => this.#label ?? 'mock',
        faulted: () => this.faults.armed,
      }),
      releases: new FaultedReleases(this.faults),
      defaultDeadlineMs: this.#defaults.deadlineMs,
      permitTtlMs,
      probes,
    })
  }

  get #label(): string | null {
    return this.#agents.values().next().value?.info.label ?? null
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
    if (this.#agents.get(name)?.closed === false) {
      throw refuse('KVSEAM_INVALID_ARGUMENT', 'name', name, 'this seam has an agent of that name; close it first')
    }
    object('options', options, 'it must be an object')
    const { pool = name, ...agentOptions } = options
    checkName('pool', pool)
    const withRails = this.#rails === undefined ? agentOptions : { rails: this.#rails, ...agentOptions }
    const agent = new Agent(this.#gate, this.#backend, name, withRails)
    this.#warnOfTwins()
    try {
      this.faults.attach(agent)
    } catch (error) {
      await agent.close()
      throw error
    }
    this.#pools.set(name, pool)
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
    if (!(agent instanceof Agent) || this.#agents.get(agent.name) !== agent) {
      throw refuse('KVSEAM_INVALID_ARGUMENT', 'agent', agent, 'it must be an open agent of this seam')
    }
    if (options.pool !== undefined) checkName('options.pool', options.pool)
    const peer = await agent.connect(metadata, options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs })
    this.#pools.set(peer.name, options.pool ?? this.#pools.get(peer.name) ?? peer.name)
    this.#addPaths(peer.name, agent, peer, 'pull')
    this.#addPaths(agent.name, agent, peer, 'push')
    return peer
  }

  /**
   * Decides, moves the blocks over the admitted path, verifies, gives the session back.
   * @throws KVSEAM_NOT_ADMISSIBLE (with `decision`), KVSEAM_TIMEOUT, KVSEAM_PEER_DOWN, KVSEAM_INTEGRITY, KVSEAM_REGION_BUSY,
   *   ...; the signal's reason when it was aborted
   */
  async handoff(request: HandoffRequest): Promise<HandoffResult> {
    this.#assertOpen()
    return await handoff(this.policy, request, this.#defaults)
  }

  /** Moves the blocks of a decision made before, e.g. when the destination blocks depend on the chosen agent. */
  async transfer(decision: Admitted, request: MoveRequest): Promise<MoveResult> {
    this.#assertOpen()
    return await move(this.policy, decision, request, this.#defaults)
  }

  /** Ends everything: waits up to `drainMs` for transfers in flight, then closes agents, gate and log. Idempotent. */
  async close({ drainMs = 0 }: { drainMs?: number } = {}): Promise<void> {
    waitMs('drainMs', drainMs)
    this.#closing ??= this.#close(drainMs)
    await this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close({ drainMs: 2000 })
  }

  async #close(drainMs: number): Promise<void> {
    this.policy.dismiss()
    try {
      const agents = [...this.#agents.values()].filter((agent) => !agent.closed)
      // All before the first one stops: to the others it would be a peer that went down under their transfers.
      await Promise.all(agents.map((agent) => agent.quiet(drainMs)))
      await Promise.all(agents.map((agent) => agent.close()))
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
          // Between two agents of this seam each direction has its poster already; the other end must not take it over.
          if (known.agent === agent || known.agent.closed) known.rebind(agent, peer, native)
          continue
        }
        const riskGroups = [`rail:${from}/${fromRail.name}`, `rail:${target.name}/${toRail.name}`]
        const policyIndex = this.policy.addPath({
          id,
          pool: this.#pools.get(target.name) ?? target.name,
          maxSessions: this.#sessionsPerPath,
          softCapacityFraction: 0,
          riskGroups,
          ...nominalOf(fromRail, toRail),
        })
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
          riskGroups,
          snapshot: () => this.policy.snapshot(policyIndex),
          probe: (probed, asked) => this.policy.probe(probed, asked),
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

/** Types that nothing further down would refuse by name. */
function checkOptionTypes({ workloads, recordLog, logger, clockUs }: SeamOptions): void {
  const bad = (option: string, value: unknown, remedy: string): SeamError =>
    refuse('KVSEAM_CONFIG_INVALID', `options.${option}`, value, remedy)
  if (workloads !== undefined && !Array.isArray(workloads))
    throw bad('workloads', workloads, 'it must be an array of workload profiles')
  if (recordLog !== undefined && (typeof recordLog !== 'string' || recordLog === ''))
    throw bad('recordLog', recordLog, 'it must be the path of a file')
  if (logger !== undefined && (typeof logger?.info !== 'function' || typeof logger.warn !== 'function'))
    throw bad('logger', logger, 'it must have the methods info and warn')
  if (clockUs !== undefined && typeof clockUs !== 'function')
    throw bad('clockUs', clockUs, 'it must be a function that returns microseconds')
}

/** What a path can do by what its rails say of themselves; nothing when one of them does not know. */
function nominalOf(from: NativeRail, to: NativeRail): { nominal?: NominalRate } {
  const bytesPerSecond = Math.min(from.bytesPerSecond, to.bytesPerSecond)
  if (bytesPerSecond === 0) return {}
  return { nominal: { bytesPerSecond, fixedUs: Math.ceil((from.latencyNs + to.latencyNs) / 1000) } }
}

/**
 * Opens a seam: backend checked, policy ready, no agent yet.
 * @throws KVSEAM_CONFIG_INVALID, KVSEAM_BACKEND_UNAVAILABLE (with the reason), KVSEAM_ADDON_MISSING, KVSEAM_RECORD_LOG
 */
export async function openSeam(options: SeamOptions = {}): Promise<Seam> {
  return new Seam(options)
}
