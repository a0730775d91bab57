// Compares what arrived with what was sent, by CRC-32C of the same blocks on both sides.

import type { FarEnd } from './far-end.js'
import type { LoadResult } from './load.js'
import type { BenchPool, Cut } from './pool.js'
import type { Slot } from './poster.js'

export class Verifier {
  readonly #pool: BenchPool
  readonly #far: FarEnd
  readonly #cut: Cut
  #stamp = 0

  constructor(pool: BenchPool, far: FarEnd, cut: Cut) {
    this.#pool = pool
    this.#far = far
    this.#cut = cut
  }

  /**
   * Before a transfer: the first bytes of every block here get a new value. A read must overwrite it, a write must bring it
   * over; bytes of the transfer before would not do.
   */
  readonly mark = (slot: Slot): void => {
    const { blockBytes, parts, poolBlocks } = this.#cut
    const view = this.#pool.region.view()
    this.#stamp = (this.#stamp + 1) & 0xff
    for (let part = 0; part < parts; part++) {
      for (const id of slot.nearIds) view[(part * poolBlocks + id) * blockBytes] = this.#stamp
    }
  }

  readonly check = async (slot: Slot): Promise<boolean> => {
    const cut = this.#cut
    const [near, far] = await Promise.all([
      this.#pool.digest(cut, slot.nearIds),
      this.#far.ask({ what: 'digest', cut, ids: slot.farIds }),
    ])
    return near === far
  }

  /** After a run whose destinations were cleared before it: where the last transfer arrived, the source's bytes must be. */
  async checkArrived(arrivedIn: ReadonlyMap<Slot, LoadResult>, result: LoadResult): Promise<void> {
    for (const [slot, last] of arrivedIn) {
      if (last !== result) continue // the other gate's, checked with it
      result.checked++
      if (!(await this.check(slot))) result.mismatched++
    }
  }
}
