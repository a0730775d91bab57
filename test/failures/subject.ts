// What a failure is done to: two agents of one seam, with every oracle that a test file's process can bear attached.

import { onTestFinished, vi } from 'vitest'
import type { Admitted, DecideRequest, Region, Seam, SeamOptions } from '../../src/index.js'
import { openSeam } from '../../src/index.js'
import type { Agent, AgentOptions } from '../../src/native/agent.js'
import type { Transfer } from '../../src/native/transfer.js'
import { permitNumber } from '../../src/permit.js'
import { backendOptions } from '../backend.js'
import { CapacityModel } from './oracles/capacity-model.js'
import { DecisionReevaluator } from './oracles/decision-reevaluator.js'
import { type Entry, SettleLedger } from './oracles/ledger.js'
import { ShadowMemory } from './oracles/shadow-memory.js'

export const BLOCK = 4096
export const BLOCKS = 32

export const rail = (n: number): string => `prefill-0/rail${n}>decode-0/rail${n}`

export interface PostOptions {
  readonly rail?: number
  readonly timeoutMs?: number
  readonly from?: readonly number[]
  readonly to?: readonly number[]
  readonly workload?: string
}

export class Subject {
  readonly seam: Seam
  readonly prefill: Agent
  readonly decode: Agent
  readonly source: Region
  readonly target: Region
  readonly ledger = new SettleLedger()
  readonly capacity: CapacityModel
  readonly decisions: DecisionReevaluator
  readonly shadow: ShadowMemory

  private constructor(seam: Seam, prefill: Agent, decode: Agent, source: Region, target: Region) {
    this.seam = seam
    this.prefill = prefill
    this.decode = decode
    this.source = source
    this.target = target
    this.capacity = new CapacityModel(seam)
    this.decisions = new DecisionReevaluator(seam)
    this.shadow = new ShadowMemory(source, target, BLOCK)
  }

  static async open(options: SeamOptions = {}, agentOptions: AgentOptions = {}): Promise<Subject> {
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const seam = await openSeam({ ...backendOptions, profile: 'reference', sessionsPerPath: 10_000, ...options })
    onTestFinished(() => seam.close())
    const prefill = await seam.agent('prefill-0', agentOptions)
    const decode = await seam.agent('decode-0', agentOptions)
    const source = prefill.allocate(BLOCKS * BLOCK, { name: 'kv' })
    const target = decode.allocate(BLOCKS * BLOCK, { name: 'kv' })
    return new Subject(seam, prefill, decode, source, target)
  }

  decide(options: Partial<DecideRequest> & { rail?: number } = {}): Admitted {
    const { rail: n, ...rest } = options
    const decision = this.seam.policy.decide({
      workload: 'batch',
      bytes: BLOCK,
      from: 'prefill-0',
      to: ['decode-0'],
      ...(n === undefined ? {} : { exclude: [rail(1 - n)] }),
      ...rest,
    })
    if (decision.outcome !== 'admitted') throw new Error(`not admitted: ${decision.record.reason}`)
    this.capacity.taken(decision)
    return decision
  }

  /**
   * An admitted transfer of blocks `from` to blocks `to`, entered into the ledger. The policy is not told its outcome, so
   * that the path stays admissible; `handOff` is for what the policy makes of it.
   */
  post(options: PostOptions = {}): Entry {
    const from = options.from ?? [0]
    const to = options.to ?? from
    const timeoutMs = options.timeoutMs ?? 5000
    const decision = this.decide({
      rail: options.rail ?? 0,
      bytes: from.length * BLOCK,
      ...(options.workload === undefined ? {} : { workload: options.workload }),
    })
    const { path } = decision
    const transfer: Transfer = path.agent.post({
      permit: permitNumber(decision.permit),
      path: path.nativeIndex,
      operation: path.operation,
      local: this.target.blocks(BLOCK, to),
      remote: this.source.blocks(BLOCK, from),
      timeoutMs,
    })
    void transfer.quiesced.then(() => {
      if (this.seam.policy.release(decision.lease)) this.capacity.givenBack(decision.lease)
    })
    return this.ledger.enter(transfer, path.agent, from.length * BLOCK, timeoutMs)
  }

  /** Decides, moves, verifies, releases: what an application does. */
  handOff(options: { rail?: number; from?: readonly number[]; to?: readonly number[]; deadlineMs?: number } = {}) {
    const from = options.from ?? [0]
    return this.seam.handoff({
      from: this.source.blocks(BLOCK, from),
      to: this.target.blocks(BLOCK, options.to ?? from),
      workload: 'batch',
      deadlineMs: options.deadlineMs ?? 5000,
      ...(options.rail === undefined ? {} : { exclude: [rail(1 - options.rail)] }),
    })
  }

  /** Waits for both endings of everything and asks every oracle. */
  async check(options: { unquiesced?: number; allowLate?: boolean } = {}): Promise<void> {
    await (options.unquiesced === undefined ? this.ledger.allQuiesced() : this.ledger.allSettled())
    this.ledger.check(options)
    if (options.unquiesced === undefined) this.capacity.check()
    this.decisions.check()
    for (const agent of this.seam.agents) {
      if (!agent.closed && agent.counters.quarantined !== 0 && options.unquiesced === undefined) {
        throw new Error(`${agent.name} holds ${agent.counters.quarantined} quarantined transfers`)
      }
    }
  }
}
