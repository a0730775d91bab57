// What a chaos run counts, and what of it must be zero.

import { createHash } from 'node:crypto'
import type { Firing } from '../../src/index.js'

export class ChaosTally {
  transfers = 0
  /** Not posted: their peer was down. */
  refused = 0
  readonly outcomes = new Map<string, number>()
  /** Never settled, or settled more than once. */
  lost = 0
  /** Reported good with a right digest, and not the right bytes; or canaries touched; or wrong bytes that nothing injected. */
  wrong = 0
  /** Corruptions and short moves that fired, and mismatches that the digest found in what had been reported good. */
  injected = 0
  caught = 0
  /** Blocks, sessions, permits, regions, threads, descriptors that did not come back. */
  leaked = 0
  /** Settled more than 50 ms after their deadline, and the worst of it; the machine's own stalls are in here. */
  late = 0
  worstOverrunMs = 0
  /** The same as the progress thread saw it, without the way through the event loop. */
  worstNativeOverrunMs = 0
  worstSettleMs = 0
  kills = 0
  cuts = 0
  firings = 0
  readonly problems: string[] = []
  readonly #hash = createHash('sha256')

  outcome(code: string): void {
    this.outcomes.set(code, (this.outcomes.get(code) ?? 0) + 1)
  }

  /** @param nativeMs as measured by the engine; undefined where it did not say */
  settled(ms: number, nativeMs: number | undefined, deadlineMs: number): void {
    if (nativeMs !== undefined) this.worstNativeOverrunMs = Math.max(this.worstNativeOverrunMs, nativeMs - deadlineMs)
    this.worstSettleMs = Math.max(this.worstSettleMs, ms)
    const overrunMs = ms - deadlineMs
    this.worstOverrunMs = Math.max(this.worstOverrunMs, overrunMs)
    if (overrunMs > 50) this.late++
  }

  problem(what: string): void {
    if (this.problems.length < 20) this.problems.push(what)
  }

  fired(round: number, firings: readonly Firing[]): void {
    this.firings += firings.length
    const lines = firings.map(
      ({ path, op, seq, rule, step, action, value }) => `${path} ${op} ${seq} ${rule}.${step} ${action} ${value}`,
    )
    this.#hash.update(`${round}\n${lines.sort().join('\n')}\n`)
  }

  /** The same for two runs in which the same faults met the same operations. */
  faultsDigest(): string {
    return this.#hash.copy().digest('hex').slice(0, 16)
  }

  get good(): boolean {
    return this.lost === 0 && this.wrong === 0 && this.leaked === 0 && this.problems.length === 0
  }
}
