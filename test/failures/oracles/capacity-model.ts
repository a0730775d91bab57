// Capacity model: sessions of each path as they must be, from the decisions and releases that the test has seen.

import { expect } from 'vitest'
import type { Admitted, Path, Seam } from '../../../src/index.js'

export class CapacityModel {
  readonly #seam: Seam
  readonly #leases = new Map<number, Path>()

  constructor(seam: Seam) {
    this.#seam = seam
  }

  taken(decision: Admitted): void {
    expect(this.#leases.has(decision.lease), `lease ${decision.lease} was given twice`).toBe(false)
    this.#leases.set(decision.lease, decision.path)
  }

  givenBack(lease: number): void {
    expect(this.#leases.delete(lease), `lease ${lease} came back twice`).toBe(true)
  }

  active(path: Path): number {
    return [...this.#leases.values()].filter((leased) => leased === path).length
  }

  /** I21: what the policy counts is what is out, never below 0 and never above the limit. */
  check(): void {
    for (const path of this.#seam.paths) {
      const { activeSessions, maxSessions } = path.health
      expect(activeSessions, path.id).toBe(this.active(path))
      expect(activeSessions).toBeGreaterThanOrEqual(0)
      expect(activeSessions).toBeLessThanOrEqual(maxSessions)
    }
  }
}
