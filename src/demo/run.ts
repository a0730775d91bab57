// Runs a demo plan: one prefill process (this one) that decides and pushes, decode processes that verify and release.

import { setMaxListeners } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Admitted } from '../decision.js'
import { SeamError } from '../errors.js'
import type { MoveResult } from '../handoff/handoff.js'
import type { GateCounters } from '../native/binding.js'
import { pathStateChannel } from '../observe/channels.js'
import type { Profile } from '../policy/create.js'
import type { TransitionRecord } from '../record/decision-record.js'
import type { Seam, SeamLogger } from '../seam.js'
import type { DecodeLink, Verdict } from './decode-link.js'
import { KvPool, remoteBlocks } from './kv-pool.js'
import { encodeArrival } from './messages.js'
import type { DemoPlan, DemoRequest, WorkloadClass } from './plan.js'
import { openStage, PREFILL, type Stage } from './stage.js'
import { Tally } from './tally.js'

/** What will go wrong on the path that carries the most by then. */
export interface DemoFault {
  /** In the grammar of KVSEAM_FAULTS. */
  readonly action: string
  readonly fromMs: number
  readonly toMs: number
}

/** It went wrong there. */
export interface GrayPath {
  readonly rule: string
  readonly path: string
  readonly fromMs: number
  readonly toMs: number
}

export interface DemoSetup {
  readonly plan: DemoPlan
  readonly backend: string
  readonly profile: Profile
  readonly decodes: number
  readonly rails: number
  readonly railBytesPerSecond: number
  readonly railLatencyUs: number
  /** What the backend opens for each rail; its own choice when undefined. */
  readonly railDevice: string | undefined
  readonly fault: DemoFault | undefined
  /** A whole fault specification instead of the demo's own. */
  readonly faults: string | undefined
  readonly recordLog: string
  readonly logger: SeamLogger | undefined
}

export interface DemoRun {
  readonly seam: Seam
  readonly tally: Tally
  readonly plan: DemoPlan
  /** Undefined until it begins. */
  readonly fault: GrayPath | undefined
  /** Rules given instead of it. */
  readonly faults: string | undefined
  /** Since the first request could arrive; stops at the end. */
  elapsedMs(): number
  readonly inFlight: number
  readonly permits: GateCounters
  /** Where the figures come from: `mock`, `emulated` or `real`. */
  readonly label: string
}

/** Called while a demo runs; `running` and `ended` are the span in which paths and agents can be looked at. */
export interface DemoWatcher {
  /** Once, when everything stands, before the first request. */
  running(run: DemoRun): void
  /** One line for each thing worth telling. */
  news(line: string): void
  /** Once, after the last request, before anything is closed. */
  ended(run: DemoRun): void
}

/** What one class may take from decision to arrived, milliseconds: what the policy has to meet. */
const DEADLINE_MS: Record<WorkloadClass, number> = { release: 120, interactive: 160, batch: 3000 }
/** When a transfer is given up. Later than the deadlines: late blocks spare the decode side a recomputation all the same. */
const GIVE_UP_MS = 3000
/** How long a request waits for free blocks before it is counted as failed. */
const BLOCK_WAIT_MS = 1000
/** How long the decode side may take to compare digests; a frozen process answers never. */
const VERDICT_MS = 3000
const DRAIN_MS = 3000
/** So many admissions tell which path carries the most. */
const LATELY = 50

export async function runDemo(setup: DemoSetup, signal: AbortSignal, watcher: DemoWatcher): Promise<DemoRun> {
  const stage = await openStage(
    { ...setup, pool: setup.plan, seed: setup.plan.seed },
    {
      profile: setup.profile,
      recordLog: setup.recordLog,
      ...(setup.logger === undefined ? {} : { logger: setup.logger }),
    },
  )
  try {
    const conductor = new Conductor(setup, stage, watcher.news)
    watcher.running(conductor)
    await conductor.play(signal)
    watcher.ended(conductor)
    return conductor
  } finally {
    await stage.close()
  }
}

/** The two ends of a request's claim on its blocks. */
interface Fence {
  /** Resolves when the source blocks have gone back. */
  readonly quiet: Promise<void>
  readonly quiesced: () => void
}

class Conductor implements DemoRun {
  readonly seam: Seam
  readonly tally: Tally
  readonly plan: DemoPlan
  readonly faults: string | undefined
  fault: GrayPath | undefined
  readonly #planned: DemoFault | undefined
  /** Paths of the newest admissions. */
  readonly #carrying: string[] = []
  readonly #links: Map<string, DecodeLink>
  readonly #pool: KvPool
  readonly #onNews: (line: string) => void
  readonly #running = new Set<Promise<void>>()
  readonly label: string
  #permits: GateCounters | undefined
  #startMs = 0
  #endMs: number | undefined

  constructor(setup: DemoSetup, { seam, agent, links }: Stage, onNews: (line: string) => void) {
    this.seam = seam
    this.plan = setup.plan
    this.#planned = setup.fault
    this.faults = setup.faults
    this.#links = new Map(links.map((link) => [link.name, link]))
    this.#pool = new KvPool(agent, setup.plan, setup.plan.seed)
    this.#onNews = onNews
    this.label = agent.info.label
    this.tally = new Tally([...seam.paths].filter((path) => path.from === PREFILL).map((path) => path.id))
  }

  get inFlight(): number {
    return this.#running.size
  }

  get permits(): GateCounters {
    return this.#permits ?? this.seam.policy.counters.permits
  }

  elapsedMs(): number {
    return (this.#endMs ?? performance.now()) - this.#startMs
  }

  async play(signal: AbortSignal): Promise<void> {
    const onState = (message: unknown): void => this.#stateChanged(message as TransitionRecord)
    pathStateChannel.subscribe(onState)
    setMaxListeners(0, signal) // every transfer in flight listens to it
    for (const link of this.#links.values()) {
      link.onLost = () =>
        this.#onNews(`${this.#at()} decode process ${link.name} is gone; its paths are no candidates any more`)
    }
    this.#startMs = performance.now()
    using armed = this.#armFaults()
    try {
      for (const request of this.plan.requests) {
        const wait = request.atMs - this.elapsedMs()
        if (wait > 0) await sleep(wait, undefined, { signal }).catch(() => {})
        if (signal.aborted) break
        const running = this.#handle(request, signal).finally(() => this.#running.delete(running))
        this.#running.add(running)
      }
      const drained = Promise.all(this.#running)
      await Promise.race([drained, sleep(signal.aborted ? 500 : DRAIN_MS)])
    } finally {
      this.#endMs = performance.now()
      this.#permits = this.seam.policy.counters.permits
      pathStateChannel.unsubscribe(onState)
      void armed
    }
  }

  /** @returns what ends them */
  #armFaults(): Disposable {
    if (this.faults !== undefined) return this.seam.faults.arm(this.faults)
    const planned = this.#planned
    let armed: Disposable | undefined
    const timer =
      planned && setTimeout(() => (armed = this.#turnGray(planned)), Math.max(0, planned.fromMs - this.elapsedMs()))
    return {
      [Symbol.dispose]: () => {
        clearTimeout(timer)
        armed?.[Symbol.dispose]()
      },
    }
  }

  #turnGray({ action, fromMs, toMs }: DemoFault): Disposable {
    const path = this.#busiest()
    const rule = `${path}.write=${action}@0ms..${toMs - fromMs}ms`
    this.fault = { rule, path, fromMs, toMs }
    // What ails a path ails its probes as well.
    const both = `${rule};${rule.replace('.write=', '.probe=')}`
    this.#onNews(`${this.#at()} ${path} carries the most and turns gray for ${toMs - fromMs} ms: ${action}`)
    return this.seam.faults.arm(`seed=${this.plan.seed};${both}`)
  }

  /** Of the newest admissions; the first one listed of equals, or when there are none. */
  #busiest(): string {
    let busiest: string | undefined
    let most = -1
    for (const path of this.tally.paths.keys()) {
      const count = this.#carrying.filter((each) => each === path).length
      if (count <= most) continue
      most = count
      busiest = path
    }
    return busiest!
  }

  /** The path that the demo's own fault is on now. */
  #faultyPath(): string | undefined {
    const now = this.elapsedMs()
    const { fault } = this
    return fault !== undefined && now >= fault.fromMs && now < fault.toMs ? fault.path : undefined
  }

  async #handle(request: DemoRequest, signal: AbortSignal): Promise<void> {
    const counts = this.tally.classes[request.workload]
    counts.requests++
    const arrivedMs = performance.now()
    try {
      const ids = await this.#sourceBlocks(request, signal)
      let quiesced = (): void => {}
      // Bytes may still move after a failure: blocks go back only when the transfer is quiet.
      const quiet = new Promise<void>((resolve) => {
        quiesced = resolve
      }).then(() => this.#pool.blocks.free(ids))
      await this.#handOff(request, ids, arrivedMs, { quiet, quiesced }, signal)
    } catch (error) {
      if (signal.aborted) return
      counts.failed++
      this.tally.failure(SeamError.is(error) ? error.code : 'unexpected')
      if (!SeamError.is(error)) throw error
    }
  }

  async #handOff(
    request: DemoRequest,
    ids: Uint32Array,
    arrivedMs: number,
    fence: Fence,
    signal: AbortSignal,
  ): Promise<void> {
    const counts = this.tally.classes[request.workload]
    this.#pool.fill(request.id, ids)
    using from = this.#pool.descriptors(ids)
    const digest = await from.digest()

    const decision = this.seam.policy.decide({
      workload: request.workload,
      bytes: from.bytes,
      from: PREFILL,
      deadlineMs: DEADLINE_MS[request.workload],
      requestId: `r-${request.id}`,
    })
    this.tally.decision(request.workload, decision.record, this.#faultyPath())
    if (decision.outcome !== 'admitted') return fence.quiesced()
    this.#carrying.push(decision.path.id)
    if (this.#carrying.length > LATELY) this.#carrying.shift()

    const link = this.#links.get(decision.path.to)!
    const taken = await this.#targetBlocks(link, request, signal)
    if (taken === null) {
      this.#giveBack(decision)
      fence.quiesced()
      throw new SeamError('KVSEAM_QUEUE_FULL', { pool: link.name }, `no free blocks at ${link.name}`)
    }
    try {
      using to = remoteBlocks(link.peer, this.plan, taken)
      const verdict = link.verdict(request.id, GIVE_UP_MS + VERDICT_MS)
      const moved = await this.seam.transfer(decision, {
        from,
        to,
        deadlineMs: GIVE_UP_MS,
        signal,
        notify: encodeArrival(request.id, digest),
        onQuiesced: fence.quiesced,
      })
      this.#verified(request, digest, moved, await verdict)
      this.tally.descriptors += from.count
      const tookMs = performance.now() - arrivedMs
      counts.latenciesMs.push(tookMs)
      if (tookMs <= DEADLINE_MS[request.workload]) counts.onTime++
    } catch (error) {
      void fence.quiet.then(() => link.forget(request.id))
      throw error
    }
  }

  /** @throws KVSEAM_INTEGRITY when the decode side refused the blocks, KVSEAM_TIMEOUT when it said nothing */
  #verified(request: DemoRequest, digest: number, moved: MoveResult, verdict: Verdict): void {
    if (verdict === 'silent') {
      throw new SeamError('KVSEAM_TIMEOUT', { process: moved.path.to }, `${moved.path.to} did not verify in time`, {
        blame: 'peer',
      })
    }
    if (!verdict.ok) {
      this.tally.mismatched++
      this.seam.policy.observe({
        path: moved.path.id,
        outcome: 'corrupt',
        totalUs: moved.outcome.totalNs / 1e3,
        bytes: moved.bytes,
      })
      this.#onNews(
        `${this.#at()} digest of r-${request.id} is ${verdict.found}, not ${digest}: ${moved.path.to} will not decode from it`,
      )
      throw new SeamError('KVSEAM_INTEGRITY', { request: request.id }, 'digest mismatch')
    }
    this.tally.verified++
    this.tally.bytes += moved.bytes
    this.tally.classes[request.workload].delivered++
  }

  async #sourceBlocks(request: DemoRequest, signal: AbortSignal): Promise<Uint32Array> {
    const ids = await this.#waitFor(() => this.#pool.blocks.allocate(request.blocks), signal)
    if (ids !== null) return ids
    throw new SeamError('KVSEAM_QUEUE_FULL', { pool: PREFILL }, `no free blocks at ${PREFILL}`)
  }

  async #targetBlocks(link: DecodeLink, request: DemoRequest, signal: AbortSignal): Promise<Uint32Array | null> {
    return await this.#waitFor(() => link.expect(request.id, request.blocks, request.holdMs), signal)
  }

  async #waitFor(take: () => Uint32Array | null, signal: AbortSignal): Promise<Uint32Array | null> {
    const until = performance.now() + BLOCK_WAIT_MS
    for (;;) {
      const ids = take()
      if (ids !== null) return ids
      if (signal.aborted || performance.now() > until) {
        this.tally.blocksShort++
        return null
      }
      await sleep(5)
    }
  }

  #giveBack(decision: Admitted): void {
    this.seam.policy.abandon(decision)
  }

  #stateChanged(record: TransitionRecord): void {
    const { path, from, to } = record
    if (!this.tally.paths.has(path)) return
    this.tally.stateChanges.push({ atMs: this.elapsedMs(), path, from, to })
    this.#onNews(`${this.#at()} ${path}: ${from} -> ${to} (${record.cause})`)
  }

  #at(): string {
    return `${(this.elapsedMs() / 1000).toFixed(1).padStart(5)} s`
  }
}
