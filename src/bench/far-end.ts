// The passive end of a benchmark: it offers memory, fills it, and says what is in it. In this process or in one of its own.

import { ChildEnd } from '../child-end.js'
import { SeamError } from '../errors.js'
import type { RailOptions } from '../native/agent.js'
import { openSeam, type Seam } from '../seam.js'
import { BenchPool, type Cut } from './pool.js'

const ANSWER_MS = 30_000

export interface FarSetup {
  readonly backend: string
  readonly rails: readonly RailOptions[]
  readonly poolBytes: number
}

export type FarRequest =
  | { readonly what: 'digest'; readonly cut: Cut; readonly ids: Uint32Array }
  | { readonly what: 'fill'; readonly seed: number }
  | { readonly what: 'clear' }
  | { readonly what: 'cpuNs' }

export type ToFar =
  | { readonly kind: 'ask'; readonly id: number; readonly request: FarRequest }
  | { readonly kind: 'stop' }

export type FromFar =
  | { readonly kind: 'ready'; readonly metadata: Uint8Array }
  | { readonly kind: 'answer'; readonly id: number; readonly value: number }
  | { readonly kind: 'failed'; readonly message: string; readonly id?: number }

export interface FarEnd {
  readonly metadata: Uint8Array
  /** `digest` gives a CRC-32C, `cpuNs` nanoseconds of CPU time of a process of its own (0 in this one), others 0. */
  ask(request: FarRequest): Promise<number>
  stop(): Promise<void>
}

export async function openFarEnd(setup: FarSetup, ownProcess: boolean): Promise<FarEnd> {
  return ownProcess ? await FarProcess.start(setup) : await FarHost.open(setup, false)
}

/** The far end itself. */
export class FarHost implements FarEnd {
  readonly metadata: Uint8Array
  readonly #seam: Seam
  readonly #pool: BenchPool
  readonly #ownProcess: boolean

  private constructor(seam: Seam, pool: BenchPool, metadata: Uint8Array, ownProcess: boolean) {
    this.#seam = seam
    this.#pool = pool
    this.metadata = metadata
    this.#ownProcess = ownProcess
  }

  static async open(setup: FarSetup, ownProcess: boolean): Promise<FarHost> {
    const seam = await openSeam({ backend: setup.backend })
    try {
      const agent = await seam.agent('far', { rails: setup.rails })
      const pool = new BenchPool(agent, setup.poolBytes)
      // Nobody reads them, but a queue that only grows would be measured too.
      void (async () => {
        for await (const _ of agent.notifications());
      })()
      return new FarHost(seam, pool, agent.metadata(), ownProcess)
    } catch (error) {
      await seam.close()
      throw error
    }
  }

  async ask(request: FarRequest): Promise<number> {
    switch (request.what) {
      case 'digest':
        return await this.#pool.digest(request.cut, request.ids)
      case 'fill':
        this.#pool.fill(request.seed)
        return 0
      case 'clear':
        this.#pool.clear()
        return 0
      case 'cpuNs': {
        const { user, system } = process.cpuUsage()
        return this.#ownProcess ? (user + system) * 1e3 : 0
      }
    }
  }

  async stop(): Promise<void> {
    await this.#seam.close({ drainMs: 500 })
  }
}

class FarProcess implements FarEnd {
  readonly metadata: Uint8Array
  readonly #end: ChildEnd<ToFar, FromFar>
  readonly #waiting = new Map<number, { resolve(value: number): void; reject(error: Error): void }>()
  #lastId = 0

  private constructor(end: ChildEnd<ToFar, FromFar>, metadata: Uint8Array) {
    this.#end = end
    this.metadata = metadata
    end.onMessage = (message) => this.#onMessage(message)
    end.onExit = () => {
      for (const { reject } of this.#waiting.values()) reject(down('it ended'))
      this.#waiting.clear()
    }
  }

  static async start(setup: FarSetup): Promise<FarProcess> {
    const { end, ready } = await ChildEnd.start<ToFar, FromFar>('far', './far-process', import.meta.url, setup)
    return new FarProcess(end, ready.metadata)
  }

  async ask(request: FarRequest): Promise<number> {
    if (this.#end.exited) throw down('it ended')
    const id = ++this.#lastId
    return await new Promise<number>((resolve, reject) => {
      const timer = setTimeout(() => settle(() => reject(down(`no answer in ${ANSWER_MS / 1000} s`))), ANSWER_MS)
      const settle = (end: () => void): void => {
        clearTimeout(timer)
        this.#waiting.delete(id)
        end()
      }
      this.#waiting.set(id, {
        resolve: (value) => settle(() => resolve(value)),
        reject: (error) => settle(() => reject(error)),
      })
      this.#end.say({ kind: 'ask', id, request })
    })
  }

  async stop(): Promise<void> {
    await this.#end.stop({ kind: 'stop' })
  }

  #onMessage(message: FromFar): void {
    if (message.kind === 'answer') this.#waiting.get(message.id)?.resolve(message.value)
    if (message.kind === 'failed') this.#waiting.get(message.id ?? 0)?.reject(down(message.message))
  }
}

function down(why: string): SeamError {
  return new SeamError('KVSEAM_PEER_DOWN', { process: 'far' }, `the benchmark's far process is of no use: ${why}`)
}
