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
  readonly fairBound: boolean
  readonly fifoBound: boolean
  readonly commonMode: boolean

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
  }

  on(component: Component): boolean {
    return !this.#ablated.has(component)
  }
}
