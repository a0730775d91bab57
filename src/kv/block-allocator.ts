// Hands out KV block ids the way a serving engine does, so that transfers see scattered blocks rather than one neat run.

import { SeamError } from '../errors.js'
import { permutation, streamOf } from '../random.js'

export interface KvBlockAllocatorOptions {
  /** Blocks in the pool, 1 .. 2^32 - 1; ids are 0 .. blocks - 1. */
  readonly blocks: number
  /** Start with the free list shuffled by this seed, as after hours of serving; without it the ids start in order. */
  readonly churnSeed?: number
}

/**
 * A pool of block ids with a first-in-first-out free list: the block that has been free longest is used next, and a
 * request's blocks return last block first (the order vLLM's block pool uses, so that the tail of a prompt is reused before
 * its shared head). Requests that end in another order than they began scatter the list. Same calls, same ids.
 */
export class KvBlockAllocator {
  readonly blocks: number
  /** Ring of free ids; `#freeCount` of them from `#head` on. */
  readonly #ring: Uint32Array
  readonly #taken: Uint8Array
  #head = 0
  #freeCount: number
  #peakUsed = 0

  /** @throws SeamError KVSEAM_INVALID_ARGUMENT when `blocks` is not an integer in range or the seed is not a safe integer */
  constructor(options: KvBlockAllocatorOptions) {
    const { blocks, churnSeed } = options
    if (!Number.isInteger(blocks) || blocks < 1 || blocks > 0xffffffff) {
      throw invalid('blocks', blocks, `blocks must be an integer between 1 and 2^32 - 1, got ${String(blocks)}`)
    }
    this.blocks = blocks
    this.#ring =
      churnSeed === undefined
        ? Uint32Array.from({ length: blocks }, (_, id) => id)
        : permutation(streamOf(churnSeed, 'kv-block-churn'), blocks)
    this.#taken = new Uint8Array(blocks)
    this.#freeCount = blocks
  }

  get freeBlocks(): number {
    return this.#freeCount
  }

  get usedBlocks(): number {
    return this.blocks - this.#freeCount
  }

  /** The most blocks ever in use at once. */
  get peakUsedBlocks(): number {
    return this.#peakUsed
  }

  /**
   * Takes `count` blocks for one request, in the order the prompt fills them; null, with nothing taken, when fewer are free
   * (the caller decides whether to wait, evict or refuse).
   * @throws SeamError KVSEAM_INVALID_ARGUMENT when `count` is not an integer of at least 0
   */
  allocate(count: number): Uint32Array | null {
    if (!Number.isSafeInteger(count) || count < 0) {
      throw invalid('count', count, `count must be an integer of at least 0, got ${String(count)}`)
    }
    if (count > this.#freeCount) return null
    const ids = new Uint32Array(count)
    for (let i = 0; i < count; i++) {
      const id = this.#ring[this.#head]!
      this.#head = (this.#head + 1) % this.blocks
      this.#taken[id] = 1
      ids[i] = id
    }
    this.#freeCount -= count
    this.#peakUsed = Math.max(this.#peakUsed, this.usedBlocks)
    return ids
  }

  /**
   * Gives blocks back. All or nothing.
   * @throws SeamError KVSEAM_INVALID_ARGUMENT when an id is out of range, already free, or listed twice
   */
  free(ids: Uint32Array): void {
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i]!
      if (this.#taken[id] === 1) {
        this.#taken[id] = 0
        continue
      }
      for (let undo = 0; undo < i; undo++) this.#taken[ids[undo]!] = 1
      const why = id >= this.blocks ? `outside a pool of ${this.blocks}` : 'already free, or listed twice'
      throw invalid('ids', id, `block ${id} is ${why}; free each request's blocks once`)
    }
    for (let i = ids.length - 1; i >= 0; i--) {
      this.#ring[(this.#head + this.#freeCount) % this.blocks] = ids[i]!
      this.#freeCount += 1
    }
  }
}

/** Runs of consecutive ids (5, 6, 7 is one run): how few descriptors a region would need if neighbours were joined. */
export function contiguousRuns(ids: Uint32Array): number {
  let runs = 0
  for (let i = 0; i < ids.length; i++) {
    if (i === 0 || ids[i] !== ids[i - 1]! + 1) runs += 1
  }
  return runs
}

function invalid(field: string, value: unknown, message: string): SeamError {
  return new SeamError('KVSEAM_INVALID_ARGUMENT', { field, value }, message)
}
