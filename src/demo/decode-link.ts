// The prefill process's hold on one decode process: starting it, talking to it, and ending it within a bound.

import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { SeamError } from '../errors.js'
import { KvBlockAllocator } from '../kv/block-allocator.js'
import type { Peer } from '../native/peer.js'
import type { DecodeSetup, FromDecode, ToDecode } from './messages.js'

const START_MS = 15_000
const STOP_MS = 1500

/** The child runs the same form of the code as this process: compiled, or source under a loader. */
function script(): string {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  return fileURLToPath(new URL(`./decode-process.${extension}`, import.meta.url))
}

/** `silent`: the process is gone, or did not answer in time. */
export type Verdict = { readonly ok: boolean; readonly found: number } | 'silent'

export class DecodeLink {
  readonly name: string
  readonly metadata: Uint8Array
  /** Which blocks of the child's pool are taken; the prefill side schedules for all. */
  readonly blocks: KvBlockAllocator
  readonly #child: ChildProcess
  readonly #verifying = new Map<number, (verdict: Verdict) => void>()
  readonly #held = new Map<number, Uint32Array>()
  #peer: Peer | undefined
  #exited = false
  /** The process ended without being told to. */
  onLost: () => void = () => {}

  private constructor(setup: DecodeSetup, child: ChildProcess, metadata: Uint8Array, seed: number) {
    this.name = setup.name
    this.metadata = metadata
    this.#child = child
    // Scattered from the start, as in a process that has served for hours.
    this.blocks = new KvBlockAllocator({ blocks: setup.plan.poolBlocks, churnSeed: seed })
    child.on('message', (message: FromDecode) => this.#onMessage(message))
    child.once('exit', () => {
      this.#exited = true
      for (const resolve of [...this.#verifying.values()]) resolve('silent')
      this.onLost()
    })
  }

  /** @throws KVSEAM_PEER_DOWN when the process does not come up */
  static async start(setup: DecodeSetup, seed: number): Promise<DecodeLink> {
    const child = fork(script(), [JSON.stringify(setup)], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    const down = (why: string): SeamError =>
      new SeamError('KVSEAM_PEER_DOWN', { process: setup.name }, `decode process '${setup.name}' did not start: ${why}`)
    return await new Promise<DecodeLink>((resolve, reject) => {
      const timer = setTimeout(() => {
        child.kill('SIGKILL')
        reject(down(`no sign of it after ${START_MS / 1000} s`))
      }, START_MS)
      child.once('exit', (code) => {
        clearTimeout(timer)
        reject(down(`it ended with code ${code}`))
      })
      child.once('message', (message: FromDecode) => {
        clearTimeout(timer)
        child.removeAllListeners('exit')
        if (message.kind === 'ready') {
          resolve(new DecodeLink(setup, child, Buffer.from(message.metadata, 'base64'), seed))
          return
        }
        child.kill('SIGKILL')
        reject(down(message.kind === 'failed' ? message.message : 'it said something unexpected'))
      })
    })
  }

  get alive(): boolean {
    return !this.#exited
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
    this.#say({ kind: 'expect', id, ids: [...ids], holdMs })
    return ids
  }

  /** The decode side's verdict about the blocks of a request. */
  async verdict(id: number, timeoutMs: number): Promise<Verdict> {
    if (this.#exited) return 'silent'
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
    this.#say({ kind: 'forget', id })
  }

  async stop(): Promise<void> {
    if (this.#exited) return
    this.onLost = () => {}
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MS)
      this.#child.once('exit', () => {
        clearTimeout(timer)
        resolve()
      })
      this.#say({ kind: 'stop' })
    })
  }

  #say(message: ToDecode): void {
    if (this.#child.connected) this.#child.send(message, () => {})
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
