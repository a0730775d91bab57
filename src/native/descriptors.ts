// Which blocks a transfer moves, on one side. Prepared natively once for each agent that posts with it, then referred to
// by number; there is never an object for each block.

import { object, refuse, wholeNumber } from '../check.js'
import { SeamError } from '../errors.js'
import type { Agent } from './agent.js'
import type { Region } from './region.js'
import type { RemoteRegion } from './remote-region.js'

/** A KV pool laid out as `parts` sub-regions (K and V of each layer), each an array of equal blocks. */
export interface BlockLayout {
  readonly blockBytes: number
  /** Sub-regions; 1 unless told. */
  readonly parts?: number
  /** Bytes from one sub-region to the next; needed with more than one part. */
  readonly strideBytes?: number
  /** Where the first sub-region begins; 0 unless told. */
  readonly offset?: number
}

type Shape =
  | { kind: 'blocks'; layout: Required<BlockLayout>; ids: Uint32Array | null; count: number }
  | { kind: 'runs'; offsets: Float64Array; lengths: Float64Array }
  | { kind: 'joined'; lists: readonly Descriptors[] }

/** Where the bytes live: an agent of this process or a peer of one. */
export type Side =
  | { readonly agent: Agent; readonly peer?: undefined }
  | { readonly agent: Agent; readonly peer: string }

const released = new FinalizationRegistry<{ agent: Agent; lists: Map<Agent, number> }>(({ lists }) => {
  for (const [agent, list] of lists) agent.releaseList(list)
})

export class Descriptors {
  /** Number of descriptors. */
  readonly count: number
  readonly bytes: number
  readonly region: Region | RemoteRegion | undefined
  readonly side: Side
  readonly #shape: Shape
  readonly #prepared = new Map<Agent, number>()
  #released = false

  /** @internal Use `region.blocks()`, `region.range()`, `region.runs()` or `Descriptors.join()`. */
  constructor(side: Side, region: Region | RemoteRegion | undefined, shape: Shape) {
    this.side = side
    this.region = region
    this.#shape = shape
    // Validated natively now, so that a bad list fails where it is made and not where it is posted.
    const info = side.agent.native.listInfo(side.agent.handle, this.listFor(side.agent))
    this.count = info.count
    this.bytes = info.bytes
    released.register(this, { agent: side.agent, lists: this.#prepared }, this)
  }

  /**
   * Lists of one side one after the other, e.g. several regions of one agent.
   * @throws KVSEAM_INVALID_ARGUMENT when they belong to different sides
   */
  static join(lists: readonly Descriptors[]): Descriptors {
    if (!Array.isArray(lists) || !lists.every((list) => list instanceof Descriptors)) {
      throw refuse('KVSEAM_INVALID_ARGUMENT', 'lists', lists, 'it must be an array of descriptor lists')
    }
    const first = lists[0]
    if (first === undefined) {
      throw new SeamError(
        'KVSEAM_INVALID_ARGUMENT',
        { field: 'lists' },
        'lists is empty; join at least one descriptor list',
      )
    }
    for (const list of lists) {
      if (list.side.agent !== first.side.agent || list.side.peer !== first.side.peer) {
        throw new SeamError(
          'KVSEAM_INVALID_ARGUMENT',
          { field: 'lists' },
          'the lists belong to different agents; one side of a transfer is one agent',
        )
      }
    }
    return new Descriptors(first.side, undefined, { kind: 'joined', lists: [...lists] })
  }

  /** Runs that are left when neighbours are merged on this side. */
  get runs(): number {
    return this.side.agent.native.listInfo(this.side.agent.handle, this.listFor(this.side.agent)).runs
  }

  /** Name of the agent that owns the bytes. */
  get owner(): string {
    return this.side.peer ?? this.side.agent.name
  }

  /** CRC-32C over the blocks in order, computed off the event loop. Own memory only. */
  async digest(first = 0, count = this.count - first): Promise<number> {
    wholeNumber('first', first, 0, this.count)
    wholeNumber('count', count, 0, this.count - first)
    return await this.side.agent.native.digest(this.side.agent.handle, this.listFor(this.side.agent), first, count)
  }

  /**
   * Parts of about `partBytes` that together are the whole list, in order. A descriptor is never divided, so one that is
   * larger makes a larger part.
   */
  cut(partBytes: number): { first: number; count: number; bytes: number }[] {
    wholeNumber('partBytes', partBytes, 1)
    if (this.bytes <= partBytes) return [{ first: 0, count: this.count, bytes: this.bytes }]
    const shape = this.#shape
    if (shape.kind === 'blocks') {
      const { blockBytes } = shape.layout
      const step = Math.max(1, Math.floor(partBytes / blockBytes))
      return Array.from({ length: Math.ceil(this.count / step) }, (_, i) => {
        const count = Math.min(step, this.count - i * step)
        return { first: i * step, count, bytes: count * blockBytes }
      })
    }
    if (shape.kind === 'joined') {
      let before = 0
      return shape.lists.flatMap((list) => {
        const parts = list.cut(partBytes).map((part) => ({ ...part, first: part.first + before }))
        before += list.count
        return parts
      })
    }
    const parts: { first: number; count: number; bytes: number }[] = []
    shape.lengths.forEach((bytes, i) => {
      const last = parts.at(-1)
      if (last === undefined || last.bytes + bytes > partBytes) parts.push({ first: i, count: 1, bytes })
      else {
        last.count++
        last.bytes += bytes
      }
    })
    return parts
  }

  /** Gives the native lists back now instead of at garbage collection. Transfers in flight keep theirs. */
  release(): void {
    this.#released = true
    released.unregister(this)
    for (const [agent, list] of this.#prepared) agent.releaseList(list)
    this.#prepared.clear()
  }

  [Symbol.dispose](): void {
    this.release()
  }

  /** @internal Number of this list in the table of `agent`, prepared on first use. */
  listFor(agent: Agent): number {
    const known = this.#prepared.get(agent)
    if (known !== undefined) return known
    if (this.#released) {
      throw new SeamError(
        'KVSEAM_CLOSED',
        { owner: this.owner },
        'the descriptor list was released; make it again with region.blocks(), range() or runs()',
      )
    }
    const list = this.#prepare(agent)
    this.#prepared.set(agent, list)
    return list
  }

  #prepare(agent: Agent): number {
    const shape = this.#shape
    if (shape.kind === 'joined') {
      // The parts may have been released meanwhile; the joined list does not depend on them.
      const parts = shape.lists.map((list) => list.#prepare(agent))
      try {
        return agent.native.listJoin(agent.handle, parts)
      } finally {
        for (const part of parts) agent.releaseList(part)
      }
    }
    const region = this.region as Region | RemoteRegion
    const { handle, remote } = agent.locate(region)
    if (shape.kind === 'runs') return agent.native.listRuns(agent.handle, remote, handle, shape.offsets, shape.lengths)
    const { offset, strideBytes, parts, blockBytes } = shape.layout
    return agent.native.listBlocks(
      agent.handle,
      remote,
      handle,
      offset,
      strideBytes,
      parts,
      blockBytes,
      shape.ids,
      shape.count,
    )
  }
}

/** @internal What own and remote regions share: making descriptor lists. */
export abstract class Describable {
  abstract readonly bytes: number
  abstract readonly name: string
  protected abstract readonly side: Side

  /** Blocks of `blockBytes`; all of them in order, or those of `ids` (copied). */
  blocks(blockBytes: number, ids?: Uint32Array | readonly number[]): Descriptors {
    return this.layout({ blockBytes }).of(ids)
  }

  /** One run of bytes. */
  range(offset: number, bytes: number): Descriptors {
    wholeNumber('offset', offset)
    wholeNumber('bytes', bytes)
    return this.runs([offset], [bytes])
  }

  /** Any runs, one offset and one length each. */
  runs(offsets: Float64Array | readonly number[], lengths: Float64Array | readonly number[]): Descriptors {
    const numbers = { offsets: doubles('offsets', offsets), lengths: doubles('lengths', lengths) }
    return new Descriptors(this.side, this.#self, { kind: 'runs', ...numbers })
  }

  /** A KV pool with K and V of every layer in a sub-region of its own; `of(ids)` takes the same blocks from each. */
  layout(layout: BlockLayout): { of(ids?: Uint32Array | readonly number[]): Descriptors } {
    object('layout', layout, 'it must be an object with blockBytes')
    const blockBytes = wholeNumber('blockBytes', layout.blockBytes, 1)
    const parts = wholeNumber('parts', layout.parts ?? 1, 1)
    const offset = wholeNumber('offset', layout.offset ?? 0)
    const strideBytes = wholeNumber('strideBytes', layout.strideBytes ?? 0)
    const full: Required<BlockLayout> = { blockBytes, parts, offset, strideBytes }
    const blocksInPart = Math.floor((parts === 1 ? this.bytes - offset : strideBytes) / blockBytes)
    return {
      of: (ids) =>
        new Descriptors(this.side, this.#self, {
          kind: 'blocks',
          layout: full,
          ids: ids === undefined ? null : blockIds(ids),
          count: ids === undefined ? Math.max(0, blocksInPart) : ids.length,
        }),
    }
  }

  get #self(): Region | RemoteRegion {
    return this as unknown as Region | RemoteRegion
  }
}

/** A copy; what the numbers are worth is checked natively. */
function doubles(field: string, values: Float64Array | readonly number[]): Float64Array {
  if (values instanceof Float64Array) return values.slice()
  if (Array.isArray(values) && values.every((value) => typeof value === 'number')) return Float64Array.from(values)
  throw refuse('KVSEAM_INVALID_ARGUMENT', field, values, 'it must be a Float64Array or an array of numbers')
}

function blockIds(ids: Uint32Array | readonly number[]): Uint32Array {
  if (ids instanceof Uint32Array) return ids.slice()
  if (!Array.isArray(ids)) {
    throw refuse('KVSEAM_INVALID_ARGUMENT', 'ids', ids, 'it must be a Uint32Array or an array of numbers')
  }
  ids.forEach((id, i) => {
    wholeNumber(`ids[${i}]`, id, 0, 2 ** 32 - 1)
  })
  return Uint32Array.from(ids)
}
