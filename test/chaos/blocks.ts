// Blocks of one region, every second one a canary, with what each must contain: a pattern of the transfer that wrote it.

import type { Region } from '../../src/index.js'

export const BLOCK_BYTES = 4096
const CANARY = 0xa5

export class GuardedBlocks {
  readonly region: Region
  readonly #bytes: Buffer
  readonly #free: number[]
  readonly #count: number
  readonly #canary = Buffer.alloc(BLOCK_BYTES, CANARY)

  constructor(region: Region) {
    this.region = region
    const view = region.view()
    this.#bytes = Buffer.from(view.buffer, view.byteOffset, view.byteLength)
    this.#bytes.fill(CANARY)
    this.#count = Math.floor(region.bytes / BLOCK_BYTES / 2)
    this.#free = Array.from({ length: this.#count }, (_, i) => 2 * i)
  }

  get free(): number {
    return this.#free.length
  }

  /** Blocks that nobody has; null when there are too few. */
  take(count: number): number[] | null {
    return this.#free.length < count ? null : this.#free.splice(0, count)
  }

  giveBack(blocks: readonly number[]): void {
    this.#free.push(...blocks)
  }

  fill(transfer: number, blocks: readonly number[]): void {
    blocks.forEach((block, i) => void patternOf(transfer, i).copy(this.#bytes, block * BLOCK_BYTES))
  }

  /** Whether these blocks hold the transfer's bytes, all of them. */
  holds(transfer: number, blocks: readonly number[]): boolean {
    return blocks.every((block, i) =>
      patternOf(transfer, i).equals(this.#bytes.subarray(block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES)),
    )
  }

  /** Canaries that are not as they were, and everything that should be free but is not. */
  damage(): { canaries: number; missing: number } {
    let canaries = 0
    for (let i = 0; i < this.#count; i++) {
      const at = (2 * i + 1) * BLOCK_BYTES
      if (!this.#canary.equals(this.#bytes.subarray(at, at + BLOCK_BYTES))) canaries++
    }
    return { canaries, missing: this.#count - this.#free.length }
  }
}

const PATTERNS = 509 // a prime: neighbours in time and place differ

const patterns = Array.from({ length: PATTERNS }, (_, n) => {
  const bytes = Buffer.allocUnsafe(BLOCK_BYTES)
  for (let at = 0; at < BLOCK_BYTES; at++) bytes[at] = (Math.imul(n + 1, 0x9e37) + Math.imul(at, 31) + (at >> 8)) & 255
  bytes.writeUInt32LE(n)
  return bytes
})

function patternOf(transfer: number, index: number): Buffer {
  return patterns[(transfer * 8 + index) % PATTERNS]!
}
