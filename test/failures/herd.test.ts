// Row 45: a path comes back while a thousand sessions wait. The clock is virtual, so every admission has its moment.

import { describe, expect } from 'vitest'
import type { PolicyDecision } from '../../src/policy/policy.js'
import { idealUs, MIB, paths, request, Story } from '../policy/default/streams.js'
import { row } from './row.js'

const SESSIONS = 1000
const BYTES = 512 * MIB // long enough that the return is over before the last of them
const ALL = [0, 1, 2, 3]
/** What each stage of the return lets into flight at once. */
const STAGED = [1, 2, 4]
const PATIENCE_US = 3_600_000_000

interface Moment {
  /** 0 to 2 while the path comes back; -1 once it is healthy. */
  readonly stage: number
  readonly inFlight: number
  readonly admitted: number
}

/** Sessions that all wait from the start, and links that serve one transfer after the other. */
class Herd {
  /** Of path 0, after each pass of the policy. */
  readonly moments: Moment[] = []
  readonly served = ALL.map(() => 0)
  readonly #story: Story
  readonly #links: { leaseId: number; endUs: number }[][] = ALL.map(() => [])

  constructor(story: Story) {
    this.#story = story
  }

  arrive(): void {
    for (let i = 0; i < SESSIONS; i++) {
      const deadlineUs = this.#story.nowUs + PATIENCE_US
      const decision = this.#story.decide(ALL, { bytes: BYTES, mayQueue: true, deadlineUs })
      expect(['admitted', 'queued']).toContain(decision.verdict)
      if (decision.verdict === 'admitted') this.#begin([decision])
    }
  }

  serveAll(): void {
    const story = this.#story
    const lastUs = story.nowUs + PATIENCE_US
    for (let left = SESSIONS; left > 0 && story.nowUs < lastUs; ) {
      const endsUs = this.#links.map((link) => link[0]?.endUs ?? lastUs)
      story.nowUs = Math.max(story.nowUs + 1, Math.min(story.policy.nextTickUs(), ...endsUs))
      for (const path of ALL) left -= this.#end(path)
      const { granted, abandoned } = story.tick()
      expect(abandoned).toEqual([])
      this.#begin(granted.map(({ decision }) => decision))
    }
  }

  #begin(decisions: readonly PolicyDecision[]): void {
    const { nowUs } = this.#story
    for (const { path, leaseId } of decisions) {
      const link = this.#links[path]!
      link.push({ leaseId, endUs: Math.max(link.at(-1)?.endUs ?? 0, nowUs) + idealUs(BYTES) })
    }
    this.moments.push({
      stage: this.#stage(),
      inFlight: this.#links[0]!.length,
      admitted: decisions.filter(({ path }) => path === 0).length,
    })
  }

  #end(path: number): number {
    const story = this.#story
    const link = this.#links[path]!
    let ended = 0
    for (; link[0] !== undefined && link[0].endUs <= story.nowUs; ended++) {
      const { leaseId } = link.shift()!
      story.observe(path, { leaseId, totalUs: idealUs(BYTES), bytes: BYTES })
      expect(story.policy.release(leaseId, story.nowUs)).toBe(true)
    }
    this.served[path]! += ended
    return ended
  }

  #stage(): number {
    const judged = this.#story.policy.explain(request([0], { bytes: BYTES }), this.#story.nowUs)
    return judged.detail().candidates[0]?.model?.stage ?? -1
  }
}

describe('a restored path', () => {
  row(45, 'takes a thousand waiting sessions in stages, never as a herd, and none of them is lost', () => {
    const story = new Story(paths(ALL.length), { queueBytesMost: 2 * SESSIONS * BYTES })
    for (const path of ALL) story.prove(path)
    for (let i = 0; i < 3; i++) story.observe(0, { outcome: 'transport' })
    story.probe(120_000, () => true)
    expect(story.state(0)).toBe('restored')
    const herd = new Herd(story)
    herd.arrive()
    herd.serveAll()
    expect(herd.served.reduce((sum, count) => sum + count)).toBe(SESSIONS)
    const stages = herd.moments.map(({ stage }) => stage)
    expect([...new Set(stages)]).toEqual([0, 1, 2, -1]) // never skipped, never back
    for (const { stage, inFlight, admitted } of herd.moments) {
      if (stage < 0) continue
      expect(inFlight).toBeLessThanOrEqual(STAGED[stage]!)
      expect(admitted).toBeLessThanOrEqual(STAGED[stage]!)
    }
    expect(story.state(0)).toBe('healthy')
    expect(story.transitions.at(-1)).toMatchObject({ path: 0, to: 'healthy', cause: 'canary_passed' })
    expect(herd.served[0]).toBeGreaterThan(SESSIONS / 10) // and it does its share again
  })
})
