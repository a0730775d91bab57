// Memory of flapping, after route-flap damping (RFC 2439): every setback adds, time takes away, but only while fresh clean
// evidence says that the path works; a path nobody looks at keeps its penalty. One setback alone can never suppress.

import type { PolicySettings } from '../settings.js'
import { Decaying } from './decaying.js'

export const PENALTY = { usable: 250, restricted: 500, quarantined: 1000, failedProbe: 100 } as const

export class FlapPenalty {
  readonly #points = new Decaying()
  #cleanUs = Number.NEGATIVE_INFINITY
  #suppressed = false

  /** A clean observation; decay is credited up to a quarter half-life after it. */
  clean(nowUs: number, settings: PolicySettings): void {
    this.value(nowUs, settings)
    if (nowUs > this.#creditUs(settings)) this.#points.skip(nowUs)
    this.#cleanUs = nowUs
  }

  add(points: number, nowUs: number, settings: PolicySettings): void {
    const before = this.value(nowUs, settings)
    if (before === 0) this.#points.skip(nowUs)
    this.#points.set(Math.min(settings.penaltyMost, before + points))
    if (before + points >= settings.penaltySuppress) this.#suppressed = true
  }

  /** Whole points as of now. */
  value(nowUs: number, settings: PolicySettings): number {
    const creditedUs = Math.min(nowUs, this.#creditUs(settings))
    return Math.floor(this.#points.at(creditedUs, settings.penaltyHalfLifeMs * 1000))
  }

  /** From `penaltySuppress` until below `penaltyReuse`. */
  suppressed(nowUs: number, settings: PolicySettings): boolean {
    if (this.#suppressed && this.value(nowUs, settings) < settings.penaltyReuse) this.#suppressed = false
    return this.#suppressed
  }

  #creditUs(settings: PolicySettings): number {
    return this.#cleanUs + (settings.penaltyHalfLifeMs * 1000) / 4
  }
}
