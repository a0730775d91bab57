// Decision re-evaluator: every record is judged again, from itself and from the samples that came before it.

import { expect, onTestFinished } from 'vitest'
import type { DecisionRecord, Observation, Seam } from '../../../src/index.js'
import { decisionChannel, sampleChannel } from '../../../src/observe/channels.js'
import { createReferencePolicy } from '../../../src/policy/reference/profile.js'

export class DecisionReevaluator {
  readonly records: DecisionRecord[] = []
  readonly #seam: Seam
  readonly #second = createReferencePolicy()
  readonly #index = new Map<string, number>()
  // What a subscriber throws would end the process; the test shall fail where it asks.
  readonly #problems: unknown[] = []

  /** Listens to the seam until the test is over. Another seam of this thread must not have paths of the same names. */
  constructor(seam: Seam) {
    this.#seam = seam
    const epoch = [...seam.paths].map(
      (path) => seam.policy.explain({ workload: 'batch', bytes: 1, from: path.from }).epoch,
    )[0]
    const onDecision = (record: unknown): void => {
      if ((record as DecisionRecord).epoch !== epoch) return
      this.records.push(record as DecisionRecord)
      try {
        this.#judge(record as DecisionRecord)
      } catch (error) {
        this.#problems.push(error)
      }
    }
    const onSample = (sample: unknown): void => this.#feed(sample as Observation)
    decisionChannel.subscribe(onDecision)
    sampleChannel.subscribe(onSample)
    onTestFinished(() => {
      decisionChannel.unsubscribe(onDecision)
      sampleChannel.unsubscribe(onSample)
    })
  }

  /** I14, I16 for every record so far; I15: nothing was posted without an admitted decision. */
  check(): void {
    if (this.#problems.length > 0) throw this.#problems[0]
    const admitted = this.records.filter((record) => record.chosen !== null).length
    const { minted, redeemed } = this.#seam.policy.counters.permits
    expect(minted).toBe(admitted)
    expect(redeemed).toBeLessThanOrEqual(admitted)
  }

  /** Paths come with connections, so the second policy meets them when they are first spoken of. */
  #indexOf(id: string): number {
    const known = this.#index.get(id)
    if (known !== undefined) return known
    const path = this.#seam.paths.get(id)
    if (path === undefined) throw new Error(`${id} is no path of this seam`)
    const { maxSessions } = path.health
    const description = { id, pool: path.to, maxSessions, softCapacityFraction: 0, riskGroups: [] }
    const index = this.#second.addPath(description, 0)
    this.#index.set(id, index)
    return index
  }

  #feed(sample: Observation): void {
    const path = this.#indexOf(sample.path)
    this.#second.observe(
      {
        path,
        leaseId: 0,
        outcome: sample.outcome,
        totalUs: sample.totalUs,
        bytes: sample.bytes,
        dropFraction: sample.dropFraction ?? (sample.outcome === 'ok' ? 0 : 1),
        source: sample.source ?? 'transfer',
        selfDelayed: sample.selfDelayed ?? false,
      },
      0,
    )
  }

  /** I14: the chosen candidate is admissible in its own record, every other has a reason; I16: the figures follow from the samples. */
  #judge(record: DecisionRecord): void {
    const chosen = record.candidates.filter((candidate) => candidate.chosen)
    expect(chosen.map((candidate) => candidate.path)).toEqual(record.chosen === null ? [] : [record.chosen])
    for (const candidate of record.candidates) {
      expect(candidate.reason, candidate.path).not.toBe('')
      if (candidate.chosen) expect(candidate.admissible).toBe(true)
      expect(candidate.activeSessions).toBeLessThanOrEqual(candidate.maxSessions)
      const again = this.#second.snapshot(this.#indexOf(candidate.path))
      expect(candidate.state).toBe(again.state)
      // Records are rounded.
      for (const figure of ['gfs', 'p99Ms', 'jitterMs', 'dropFraction'] as const) {
        expect(Math.abs(candidate[figure] - again[figure]), `${figure} of ${candidate.path}`).toBeLessThanOrEqual(1e-3)
      }
    }
    if (record.chosen === null) expect(record.candidates.some((candidate) => candidate.admissible)).toBe(false)
  }
}
