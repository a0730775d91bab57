// Registered memory of an agent. C++ owns the bytes; JavaScript holds views that keep them alive but never pin them.

import { setTimeout as sleep } from 'node:timers/promises'
import { bytes as plainBytes, waitMs, wholeNumber } from '../check.js'
import { SeamError } from '../errors.js'
import type { Agent } from './agent.js'
import { Describable, type Side } from './descriptors.js'

export class Region extends Describable {
  readonly agent: Agent
  readonly name: string
  readonly bytes: number
  /** @internal */
  readonly handle: number
  protected readonly side: Side
  #view: WeakRef<Uint8Array> | undefined
  #closed = false

  /** @internal Use `agent.allocate()`. */
  constructor(agent: Agent, name: string, bytes: number, handle: number) {
    super()
    this.agent = agent
    this.name = name
    this.bytes = bytes
    this.handle = handle
    this.side = { agent }
  }

  get closed(): boolean {
    return this.#closed
  }

  /**
   * The bytes themselves, without a copy. A view that was transferred away is replaced by a new one; the memory lives as
   * long as any view of it, even after close().
   */
  view(): Uint8Array {
    const known = this.#view?.deref()
    if (known !== undefined && known.byteLength === this.bytes) return known
    const view = new Uint8Array(this.agent.native.regionView(this.agent.handle, this.handle))
    this.#view = new WeakRef(view)
    return view
  }

  /** Copies bytes in. @throws KVSEAM_OUT_OF_BOUNDS, KVSEAM_INVALID_ARGUMENT (resizable or detached source) */
  write(data: ArrayBufferView, at = 0): void {
    const source = plainBytes('data', data)
    wholeNumber('at', at)
    this.agent.native.copyIn(this.agent.handle, this.handle, at, source)
  }

  /** Copies bytes out into a new array. @throws KVSEAM_OUT_OF_BOUNDS */
  read(at = 0, bytes = this.bytes - at): Uint8Array {
    wholeNumber('at', at, 0, this.bytes)
    wholeNumber('bytes', bytes, 0, this.bytes - at)
    const out = new Uint8Array(bytes)
    this.agent.native.copyOut(this.agent.handle, this.handle, at, out)
    return out
  }

  /**
   * Withdraws the region: peers and new transfers are refused from now on. Waits up to `drainMs` for transfers in flight.
   * @throws KVSEAM_REGION_BUSY when some are left; the region is then unchanged
   */
  async close({ drainMs = 0 }: { drainMs?: number } = {}): Promise<void> {
    waitMs('drainMs', drainMs)
    if (this.#closed || this.agent.closed) {
      this.#closed = true
      return
    }
    const until = performance.now() + drainMs
    for (;;) {
      try {
        this.agent.native.closeRegion(this.agent.handle, this.handle)
        this.#closed = true
        return
      } catch (error) {
        if (!SeamError.is(error, 'KVSEAM_REGION_BUSY') || performance.now() >= until) throw error
        await sleep(1)
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close({ drainMs: 2000 })
  }
}
