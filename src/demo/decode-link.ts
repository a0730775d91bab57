// The prefill process's hold on one decode process: starting it, talking to it, and ending it within a bound.

import { ChildEnd } from '../child-end.js'
import { KvBlockAllocator } from '../kv/block-allocator.js'
import type { Peer } from '../native/peer.js'
import type { DecodeSetup, FromDecode, ToDecode } from './messages.js'

/** `silent`: the process is gone, or did not answer in time. */
export type Verdict = { readonly ok: boolean; readonly found: number } | 'silent'

export class DecodeLink {
  readonly name: string
  readonly metadata: Uint8Array
  /** Which blocks of the child's pool are taken; the prefill side schedules for all. */
  readonly blocks: KvBlockAllocator
  readonly #end: ChildEnd<ToDecode, FromDecode>
  readonly #verifying = new Map<number, (verdict: Verdict) => void>()
  readonly #held = new Map<number, Uint32Array>()
  #peer: Peer | undefined
  /** The process ended without being told to. */
  onLost: () => void = () => {}

  private constructor(setup: DecodeSetup, end: ChildEnd<ToDecode, FromDecode>, metadata: Uint8Array, seed: number) {
    this.name = setup.name
    this.metadata = metadata
    this.#end = end
    // Scattered from the start, as in a process that has served for hours.
    this.blocks = new KvBlockAllocator({ blocks: setup.plan.poolBlocks, churnSeed: seed })
    end.onMessage = (message) => this.#onMessage(message)
    end.onExit = () => {
      for (const resolve of [...this.#verifying.values()]) resolve('silent')
      this.onLost()
    }
  }

  /** @throws KVSEAM_PEER_DOWN when the process does not come up */
  static async start(setup: DecodeSetup, seed: number): Promise<DecodeLink> {
    const { end, ready } = await ChildEnd.start<ToDecode, FromDecode>(
      setup.name,
      './decode-process',
      import.meta.url,
      setup,
    )
    return new DecodeLink(setup, end, Buffer.from(ready.metadata, 'base64'), seed)
  }

  get alive(): boolean {
    return !this.#end.exited
  }

  get peer(): Peer {
    if (this.#peer === undefined) throw new Error('the agents have not met')
    return this.#peer
  }

  set peer(peer: Peer) {
    this.#peer = peer
  }

  /** Takes blocks for a request and announces it; null when the pool has too few free. */
  expect(id: number, blocks: number, holdMs: number): Uint32Array | null {
    const ids = this.blocks.allocate(blocks)
    if (ids === null) return null
    this.#held.set(id, ids)
    this.#end.say({ kind: 'expect', id, ids: [...ids], holdMs })
    return ids
  }

  /** The decode side's verdict about the blocks of a request. */
  async verdict(id: number, timeoutMs: number): Promise<Verdict> {
    if (this.#end.exited) return 'silent'
    return await new Promise<Verdict>((resolve) => {
      const timer = setTimeout(() => this.#verifying.get(id)?.('silent'), timeoutMs)
      this.#verifying.set(id, (verdict) => {
        clearTimeout(timer)
        this.#verifying.delete(id)
        resolve(verdict)
      })
    })
  }

  /** The transfer failed and is quiet: the blocks go back without having been used. */
  forget(id: number): void {
    this.#verifying.get(id)?.('silent')
    this.#end.say({ kind: 'forget', id })
  }

  async stop(): Promise<void> {
    this.onLost = () => {}
    await this.#end.stop({ kind: 'stop' })
  }

  #onMessage(message: FromDecode): void {
    if (message.kind === 'verified') {
      this.#verifying.get(message.id)?.(message)
    } else if (message.kind === 'released') {
      const ids = this.#held.get(message.id)
      if (ids === undefined) return
      this.#held.delete(message.id)
      this.blocks.free(ids)
    } else if (message.kind === 'failed') {
      process.stderr.write(`decode process '${this.name}': ${message.message}\n`)
    }
  }
}
