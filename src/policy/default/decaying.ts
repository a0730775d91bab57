// A sum that halves in a fixed time. It decays in whole steps of 1/64 half-life, and reading it leaves no trace: products of the
// table's factors are not exactly the table's factor of the sum, so a stored reading would change what the next one says.

import { halved } from './fixed-point.js'

const STEPS = 64

export class Decaying {
  #value = 0
  #atUs = 0

  /** @returns the sum as of `nowUs` */
  at(nowUs: number, halfLifeUs: number): number {
    const decayUs = this.#decayUs(nowUs, halfLifeUs)
    return decayUs > 0 && this.#value !== 0 ? this.#value * halved(decayUs, halfLifeUs) : this.#value
  }

  add(amount: number, nowUs: number, halfLifeUs: number): void {
    this.settle(nowUs, halfLifeUs)
    this.#value += amount
  }

  /** Writes the decay until `nowUs` down; before a change, never for a look. */
  settle(nowUs: number, halfLifeUs: number): void {
    const decayUs = this.#decayUs(nowUs, halfLifeUs)
    this.#value = this.at(nowUs, halfLifeUs)
    this.#atUs += decayUs
  }

  /** Whole steps since the last change. */
  #decayUs(nowUs: number, halfLifeUs: number): number {
    const stepUs = halfLifeUs / STEPS
    return Math.max(0, Math.floor((nowUs - this.#atUs) / stepUs)) * stepUs
  }

  /** Time until `nowUs` does not count. */
  skip(nowUs: number): void {
    if (nowUs > this.#atUs) this.#atUs = nowUs
  }

  set(value: number): void {
    this.#value = value
  }
}
