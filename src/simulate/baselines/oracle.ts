// Baseline that cannot exist: it is told the faults. Takes the path that would be done first at its true rate, and none that
// refuses, stalls or corrupts now unless all do. Greedy, so an upper mark and not the optimum.

import type { PolicyRequest } from '../../policy/policy.js'
import { type FaultInterval, truthAt } from '../fault.js'
import { Baseline, type KnownPath, least } from './baseline.js'

export class Oracle extends Baseline {
  readonly profile = 'oracle'
  readonly #faults: readonly FaultInterval[]

  constructor(faults: readonly FaultInterval[]) {
    super()
    this.#faults = faults
  }

  protected choose(open: readonly KnownPath[], { bytes }: PolicyRequest, nowUs: number): KnownPath {
    const truths = open.map((path) => truthAt(this.#faults, path.index, nowUs))
    const right = open.filter((_, i) => {
      const { refuses, stallShare, corruptShare } = truths[i]!
      return !refuses && stallShare === 0 && corruptShare === 0
    })
    const shareOf = (path: KnownPath) => truths[open.indexOf(path)]!.rateShare
    return least(right.length === 0 ? open : right, (path) => (path.bytes + bytes) / shareOf(path))
  }
}
