// Retries are paid for by first attempts and by time, per tier, so that they cannot double the load of a system that is
// failing. Tokens are kept in thousandths: whole numbers add up the same on every machine.

import type { PolicySettings } from '../settings.js'

const TOKEN = 1000
const MOST_TOKENS = 10 * TOKEN

export class RetryBudget {
  #tokens = MOST_TOKENS
  #atUs = 0

  earn(settings: PolicySettings): void {
    this.#tokens = Math.min(MOST_TOKENS, this.#tokens + Math.round(settings.retryShare * TOKEN))
  }

  has(nowUs: number, settings: PolicySettings): boolean {
    this.#refill(nowUs, settings)
    return this.#tokens >= TOKEN
  }

  spend(): void {
    this.#tokens -= TOKEN
  }

  /** Microseconds until time alone has earned one; null when it earns none. */
  waitUs(settings: PolicySettings): number | null {
    if (settings.retryPerSecond === 0) return null
    return Math.ceil(((TOKEN - this.#tokens) * 1_000_000) / (settings.retryPerSecond * TOKEN))
  }

  #refill(nowUs: number, settings: PolicySettings): void {
    const usPerUnit = settings.retryPerSecond === 0 ? Number.POSITIVE_INFINITY : 1000 / settings.retryPerSecond
    const units = Math.floor((nowUs - this.#atUs) / usPerUnit)
    if (units <= 0) return
    this.#tokens = Math.min(MOST_TOKENS, this.#tokens + units)
    this.#atUs = this.#tokens === MOST_TOKENS ? nowUs : this.#atUs + units * usPerUnit
  }
}
