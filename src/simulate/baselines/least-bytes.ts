// Baseline: the candidate with the fewest bytes in flight; the one used longest ago among equals.

import type { PolicyRequest } from '../../policy/policy.js'
import { Baseline, type KnownPath, least } from './baseline.js'

export class LeastBytes extends Baseline {
  readonly profile: string = 'least-bytes'
  readonly #usedAt: number[] = []
  #uses = 0

  protected choose(open: readonly KnownPath[], _request: PolicyRequest, _nowUs: number): KnownPath | null {
    return this.fewestBytes(open)
  }

  protected fewestBytes(open: readonly KnownPath[]): KnownPath {
    const fewest = Math.min(...open.map((path) => path.bytes))
    const path = least(
      open.filter((each) => each.bytes === fewest),
      (each) => this.#usedAt[each.index] ?? 0,
    )
    this.#usedAt[path.index] = ++this.#uses
    return path
  }
}
