// A sum that halves in a fixed time. It decays in whole steps of 1/64 half-life, so that how often it is read does not
// change what it says.

import { halved } from './fixed-point.js'

const STEPS = 64

export class Decaying {
  #value = 0
  #atUs = 0

  /** @returns the sum as of `nowUs` */
  at(nowUs: number, halfLifeUs: number): number {
    const stepUs = halfLifeUs / STEPS
    const steps = Math.floor((nowUs - this.#atUs) / stepUs)
    if (steps > 0) {
      if (this.#value !== 0) this.#value *= halved(steps * stepUs, halfLifeUs)
      this.#atUs += steps * stepUs
    }
    return this.#value
  }

  add(amount: number, nowUs: number, halfLifeUs: number): void {
    this.#value = this.at(nowUs, halfLifeUs) + amount
  }

  /** Time until `nowUs` does not count. */
  skip(nowUs: number): void {
    if (nowUs > this.#atUs) this.#atUs = nowUs
  }

  set(value: number): void {
    this.#value = value
  }
}
