// Memory of flapping, after route-flap damping (RFC 2439): every setback adds, time takes away, but only while fresh clean
// evidence says that the path works; a path nobody looks at keeps its penalty. The hold of a quarantine grows with it.

import type { PolicySettings } from '../settings.js'
import { Decaying } from './decaying.js'

export const PENALTY = { usable: 250, restricted: 500, quarantined: 1000, failedProbe: 100 } as const

export class FlapPenalty {
  readonly #points = new Decaying()
  #cleanUs = Number.NEGATIVE_INFINITY

  /** A clean observation; decay is credited up to a quarter half-life after it. */
  clean(nowUs: number, settings: PolicySettings): void {
    this.#settle(nowUs, settings)
    if (nowUs > this.#creditUs(settings)) this.#points.skip(nowUs)
    this.#cleanUs = nowUs
  }

  add(points: number, nowUs: number, settings: PolicySettings): void {
    this.#settle(nowUs, settings)
    const before = this.value(nowUs, settings)
    if (before === 0) this.#points.skip(nowUs)
    this.#points.set(Math.min(settings.penaltyMost, before + points))
  }

  /** Whole points as of now. */
  value(nowUs: number, settings: PolicySettings): number {
    const creditedUs = Math.min(nowUs, this.#creditUs(settings))
    return Math.floor(this.#points.at(creditedUs, settings.penaltyHalfLifeMs * 1000))
  }

  #settle(nowUs: number, settings: PolicySettings): void {
    this.#points.settle(Math.min(nowUs, this.#creditUs(settings)), settings.penaltyHalfLifeMs * 1000)
  }

  #creditUs(settings: PolicySettings): number {
    return this.#cleanUs + (settings.penaltyHalfLifeMs * 1000) / 4
  }
}
