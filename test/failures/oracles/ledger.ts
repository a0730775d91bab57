// Settle ledger: what every transfer did as JavaScript saw it, compared with what the engine counted on its side.

import { expect } from 'vitest'
import { SeamError } from '../../../src/errors.js'
import type { Agent } from '../../../src/native/agent.js'
import type { Transfer } from '../../../src/native/transfer.js'

export interface Entry {
  readonly transfer: Transfer
  readonly agent: Agent
  readonly bytes: number
  readonly timeoutMs: number
  readonly startMs: number
  settles: number
  quiesces: number
  /** Of the one outcome; null for success. */
  error: SeamError | null
  settledMs: number
}

/** Later than this after its deadline a settle is late, whatever happened. Far above what an idle machine needs. */
export const LATE_MS = 1500

export class SettleLedger {
  readonly entries: Entry[] = []

  enter(transfer: Transfer, agent: Agent, bytes: number, timeoutMs: number): Entry {
    const entry: Entry = {
      transfer,
      agent,
      bytes,
      timeoutMs,
      startMs: performance.now(),
      settles: 0,
      quiesces: 0,
      error: null,
      settledMs: Number.NaN,
    }
    this.entries.push(entry)
    const settled = (error: SeamError | null): void => {
      expect(entry.quiesces, 'quiesced before it settled').toBe(0)
      entry.settles++
      entry.error = error
      entry.settledMs = performance.now()
    }
    transfer.settled.then(
      () => settled(null),
      (error: unknown) => {
        if (!SeamError.is(error)) throw error
        settled(error)
      },
    )
    // A quiesce may come with the settle in one record; the outcome is then delivered first.
    void transfer.quiesced.then(() => setImmediate(() => entry.quiesces++))
    return entry
  }

  async allSettled(): Promise<void> {
    await Promise.allSettled(this.entries.map(({ transfer }) => transfer.settled))
    await new Promise(setImmediate)
  }

  /** @param graceMs how long what has settled may still take to quiesce */
  async allQuiesced(graceMs = 5000): Promise<void> {
    await this.allSettled()
    const until = performance.now() + graceMs
    while (this.entries.some((entry) => entry.quiesces === 0) && performance.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }

  codes(): (string | null)[] {
    return this.entries.map(({ error }) => error?.code ?? null)
  }

  /** I1, I2, I9: each settled once and in time; sums and counts agree on both sides of the boundary. */
  check({ unquiesced = 0, allowLate = false }: { unquiesced?: number; allowLate?: boolean } = {}): void {
    for (const entry of this.entries) {
      expect(entry.settles, `settles of a transfer that ended with ${entry.error?.code ?? 'success'}`).toBe(1)
      expect(entry.quiesces).toBeLessThanOrEqual(1)
      if (!allowLate) expect(entry.settledMs - entry.startMs).toBeLessThan(entry.timeoutMs + LATE_MS)
    }
    expect(this.entries.filter((entry) => entry.quiesces === 0)).toHaveLength(unquiesced)
    const sum = (of: (entry: Entry) => boolean): number =>
      this.entries.reduce((bytes, entry) => bytes + (of(entry) ? entry.bytes : 0), 0)
    const unknown = (entry: Entry): boolean => entry.error?.facts['bytesUnknown'] === true
    const ok = sum((entry) => entry.error === null)
    const failed = sum((entry) => entry.error !== null && !unknown(entry))
    expect(ok + failed + sum(unknown)).toBe(sum(() => true))
    for (const agent of new Set(this.entries.map((entry) => entry.agent))) {
      if (agent.closed) continue
      const { settled, quiesced, inFlight } = agent.counters
      const mine = this.entries.filter((entry) => entry.agent === agent)
      // Control messages are transfers of the engine too, so it may have counted more.
      expect(settled).toBeGreaterThanOrEqual(mine.length)
      expect(settled - quiesced).toBe(mine.filter((entry) => entry.quiesces === 0).length)
      expect(inFlight).toBe(mine.filter((entry) => entry.quiesces === 0).length)
    }
  }
}
