// Two agents of this process joined by one path, without the policy: what the engine alone costs. Permits are still needed;
// they are minted here by hand, which only code inside the repository can do.

import { Agent, type AgentOptions } from '../src/native/agent.js'
import { type Binding, binding, OPERATION } from '../src/native/binding.js'
import type { Descriptors } from '../src/native/descriptors.js'
import type { Transfer } from '../src/native/transfer.js'

const PERMIT_TTL_NS = 60e9
const TIMEOUT_NS = 30e9

/** The same blocks as the reader and as the source have them in their tables. */
export interface ListPair {
  readonly local: number
  readonly remote: number
  readonly source: number
  readonly count: number
  readonly bytes: number
}

export class Pair {
  /** Owns the source blocks. */
  readonly source: Agent
  /** Reads them: pull, the default of the product. */
  readonly reader: Agent
  readonly #native: Binding
  readonly #gate: number
  readonly #path: { readonly index: number; readonly key: number }
  /** Collected descriptors give their native lists back; those of a benchmark must outlive its rounds. */
  readonly #kept: Descriptors[] = []

  private constructor(
    native: Binding,
    gate: number,
    source: Agent,
    reader: Agent,
    path: { index: number; key: number },
  ) {
    this.#native = native
    this.#gate = gate
    this.source = source
    this.reader = reader
    this.#path = path
  }

  static async open(options: AgentOptions = {}): Promise<Pair> {
    const native = binding()
    const gate = native.openGate()
    const source = new Agent(gate, 'mock', 'prefill-0')
    const reader = new Agent(gate, 'mock', 'decode-0', options)
    const peer = await reader.connect(source.metadata())
    return new Pair(native, gate, source, reader, reader.path(0, peer, 0))
  }

  /** Blocks of two regions of their own, prepared once on either side. All pages are touched. */
  lists(name: string, blockBytes: number, fromIds: Uint32Array, toIds: Uint32Array): ListPair {
    const bytes = fromIds.length * blockBytes
    const source = this.source.allocate(bytes, { name })
    const target = this.reader.allocate(bytes, { name })
    source.view().fill(1)
    target.view().fill(2)
    const from = source.blocks(blockBytes, fromIds)
    const to = target.blocks(blockBytes, toIds)
    this.#kept.push(from, to)
    return {
      local: to.listFor(this.reader),
      remote: from.listFor(this.reader),
      source: from.listFor(this.source),
      count: to.count,
      bytes,
    }
  }

  /** `count` lists of one block each, no two of which write the same bytes: for transfers that are in flight together. */
  apart(name: string, blockBytes: number, count: number): ListPair[] {
    const source = this.source.allocate(count * blockBytes, { name })
    const target = this.reader.allocate(count * blockBytes, { name })
    source.view().fill(1)
    target.view().fill(2)
    return Array.from({ length: count }, (_, i) => {
      const from = source.blocks(blockBytes, Uint32Array.of(i))
      const to = target.blocks(blockBytes, Uint32Array.of(i))
      this.#kept.push(from, to)
      return {
        local: to.listFor(this.reader),
        remote: from.listFor(this.reader),
        source: from.listFor(this.source),
        count: 1,
        bytes: blockBytes,
      }
    })
  }

  mint(bytes: number): number {
    return this.#native.mint(this.#gate, this.#path.key, OPERATION.read, bytes, PERMIT_TTL_NS)
  }

  post({ local, remote, count: all }: ListPair, permit: number, first = 0, count = all): Transfer {
    return this.reader.postNumbers(permit, this.#path.index, OPERATION.read, local, remote, first, count, TIMEOUT_NS)
  }

  /** Nanoseconds for `rounds` plain copies of the same blocks, one memcpy a block, on this thread. */
  memcpyNs(lists: ListPair, rounds: number): number {
    return this.#native.measureMemcpy(this.source.handle, lists.source, this.reader.handle, lists.local, rounds)
  }

  async close(): Promise<void> {
    await this.reader.close()
    await this.source.close()
    this.#native.closeGate(this.#gate)
  }
}
