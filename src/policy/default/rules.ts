// Settings in the units the rules compute with, and which components are on. Made once per configuration.

import type { Component, PolicySettings } from '../settings.js'

/** `isolate` differs from `default` in this alone: what default avoids, isolate forbids. */
export type Gates = 'prefer' | 'forbid'

export class Rules {
  readonly settings: PolicySettings
  readonly gates: Gates
  readonly windowUs: number
  readonly tickUs: number
  readonly confidenceHalfLifeUs: number
  readonly staleUs: number
  readonly #ablated: ReadonlySet<Component>
  /** Those that are asked for every sample or candidate. */
  readonly fairBound: boolean
  readonly fifoBound: boolean
  readonly commonMode: boolean
  readonly tail: boolean
  readonly stall: boolean
  readonly prediction: boolean
  readonly discipline: boolean
  readonly addedDelay: boolean
  readonly confidence: boolean
  readonly prs: boolean
  readonly fae: boolean
  readonly dispatch: boolean
  readonly overtake: boolean
  readonly reservations: boolean

  constructor(settings: PolicySettings, gates: Gates) {
    this.settings = settings
    this.gates = gates
    this.windowUs = settings.windowMs * 1000
    this.tickUs = settings.tickMs * 1000
    this.confidenceHalfLifeUs = settings.confidenceHalfLifeMs * 1000
    this.staleUs = settings.staleMs * 1000
    this.#ablated = new Set(settings.ablate)
    this.fairBound = this.on('fair-bound')
    this.fifoBound = this.on('fifo-bound')
    this.commonMode = this.on('common-mode')
    this.tail = this.on('gfs-tail')
    this.stall = this.on('stall')
    this.prediction = this.on('prediction')
    this.discipline = this.on('discipline')
    this.addedDelay = this.on('added-delay')
    this.confidence = this.on('confidence')
    this.prs = this.on('prs')
    this.fae = this.on('fae')
    this.dispatch = this.on('dispatch') && this.on('queue') && settings.dispatchUs > 0
    this.overtake = this.on('overtake') && this.discipline
    this.reservations = this.on('reservations')
  }

  on(component: Component): boolean {
    return !this.#ablated.has(component)
  }
}
