// Shadow memory: each transfer's source carries a pattern of its own, and what lies around its destination are canaries.
// After the transfer every byte of the destination is either as it must be or named.

import { expect } from 'vitest'
import type { Region } from '../../../src/index.js'

const CANARY = 0xa5

/** Byte `offset` of transfer `id`; neighbours differ, and so do transfers at the same offset. */
function patternByte(id: number, offset: number): number {
  return (Math.imul(id + 1, 0x9e37) + Math.imul(offset, 31) + (offset >> 8)) & 255
}

export class ShadowMemory {
  readonly #source: Region
  readonly #target: Region
  readonly #blockBytes: number

  constructor(source: Region, target: Region, blockBytes: number) {
    this.#source = source
    this.#target = target
    this.#blockBytes = blockBytes
    target.view().fill(CANARY)
  }

  fill(id: number, blocks: readonly number[]): void {
    const view = this.#source.view()
    blocks.forEach((block, i) => {
      for (let at = 0; at < this.#blockBytes; at++) {
        view[block * this.#blockBytes + at] = patternByte(id, i * this.#blockBytes + at)
      }
    })
  }

  /** Bytes of these destination blocks that are not the transfer's. */
  wrongBytes(id: number, blocks: readonly number[]): number {
    const view = this.#target.view()
    let wrong = 0
    blocks.forEach((block, i) => {
      for (let at = 0; at < this.#blockBytes; at++) {
        if (view[block * this.#blockBytes + at] !== patternByte(id, i * this.#blockBytes + at)) wrong++
      }
    })
    return wrong
  }

  /** I3: a destination that was reported good is good. */
  checkArrived(id: number, blocks: readonly number[]): void {
    expect(this.wrongBytes(id, blocks), `wrong bytes of transfer ${id}`).toBe(0)
  }

  /** I3: nothing outside these blocks was touched. */
  checkCanaries(written: readonly number[]): void {
    const view = this.#target.view()
    const mine = new Set(written)
    for (let block = 0; block * this.#blockBytes < view.length; block++) {
      if (mine.has(block)) continue
      const bytes = view.subarray(block * this.#blockBytes, (block + 1) * this.#blockBytes)
      expect(
        bytes.every((byte) => byte === CANARY),
        `canary block ${block}`,
      ).toBe(true)
    }
  }

  restoreCanaries(blocks: readonly number[]): void {
    const view = this.#target.view()
    for (const block of blocks) view.fill(CANARY, block * this.#blockBytes, (block + 1) * this.#blockBytes)
  }
}
