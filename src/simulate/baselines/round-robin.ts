// Baseline: every candidate in turn.

import { Baseline, type KnownPath } from './baseline.js'

export class RoundRobin extends Baseline {
  readonly profile = 'round-robin'
  #turn = 0

  protected choose(open: readonly KnownPath[]): KnownPath {
    return open[this.#turn++ % open.length]!
  }
}
