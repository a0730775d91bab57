// Everything the profile knows of one path. The figures a decision reads stand in an immutable view, replaced when evidence
// or time has changed them, so that a decision freezes a path by holding a reference.

import type { PathDescription, PathState } from '../policy.js'
import { AddedDelay } from './added-delay.js'
import { Decaying } from './decaying.js'
import { ONE } from './fixed-point.js'
import { FlapPenalty } from './flap-penalty.js'
import { Newest } from './newest.js'
import type { PathClass } from './path-class.js'
import { PathLoad } from './path-load.js'
import { PathRate } from './path-rate.js'
import type { Pool } from './pool.js'
import type { RiskGroup } from './risk-groups.js'
import type { Rules } from './rules.js'
import { grayFailureScore } from './scores.js'
import { type Quantiles, SlowdownWindow } from './slowdown-window.js'

/** Slowdown assumed of a path nobody has evidence of. */
const UNKNOWN_SLOWDOWN = 1.5 * ONE
/** Weight of the assumption against samples: for the median, and for the tail. */
const PRIOR_50 = 2
const PRIOR_99 = 4
export const DEMAND_HALF_LIFE_US = 5_000_000

export interface PathView {
  /** State that counts: the pinned one while a pin holds. */
  readonly state: PathState
  readonly stage: number
  readonly gfs: number
  readonly samples: number
  readonly s50: number
  readonly s90: number
  readonly s99: number
  /** Slowdown that predictions use for the median, and the spread above it to S90 and S99; in 1/1024. */
  readonly expected: number
  readonly spread90: number
  readonly spread99: number
  /** What it adds to every transfer whatever its size, and how much more the farthest of the newest but one; microseconds. */
  readonly delayUs: number
  readonly delaySpreadUs: number
  readonly confidence: number
  readonly lastSampleUs: number
  readonly failedShare: number
  readonly fixedUs: number
  readonly usPerByte: number
  /** Bytes per second asked of it lately, and what it could carry beside that. */
  readonly demand: number
  readonly spare: number
  readonly utilisation: number
  readonly suspect: boolean
}

/** What brought a path into quarantine decides what can end it and whether panic may use it. */
export type QuarantineCause = 'failures' | 'verification' | 'stall' | 'canary' | 'corrupt' | 'link_down'

export class PathRecord {
  readonly index: number
  readonly id: string
  readonly pool: Pool
  readonly peers: PathClass
  readonly groups: readonly RiskGroup[]
  readonly maxSessions: number
  readonly maxBytes: number
  readonly rate: PathRate
  readonly load = new PathLoad()
  readonly penalty = new FlapPenalty()
  readonly demand = new Decaying()
  readonly evidence = new Decaying()
  sessions = 0
  reservedBytes = 0

  state: PathState = 'unknown'
  stateSinceUs: number
  stage = 0
  /** Level of the gray failure score with hysteresis, 0..3, and for how many ticks it has been up or down. */
  level = 0
  upTicks = 0
  downTicks = 0
  failuresInARow = 0
  cleanPayloads = 0
  badPayloads = 0
  /** Payloads since it was restored, arrived and failed. */
  canaryArrived = 0
  canaryFailed = 0
  cleanProbes = 0
  badProbes = 0
  /** A probe was bad since it was last healthy or restored: probes see what is wrong with it. */
  probesSee = false
  flaps = 0
  quarantine: QuarantineCause | null = null
  holdUntilUs = 0
  lastCanaryUs = 0
  pin: { readonly state: PathState; readonly reason: string; readonly untilUs: number } | null = null

  lastSampleUs = -1
  /** Payload has arrived over it, ever. */
  delivered = false
  probesSent = 0
  probeUntilUs = 0
  probedUs = -1
  /** In flight when the newest probe was asked for. */
  probedBytes = 0
  awake = false
  /** Slowdown so far of the oldest transfer in flight at the last tick, 0 when none counted. */
  stalled = 0
  /** Pass over the queue that found it busy, and the fewest bytes for which it did. */
  busyAt = -1
  busyFromBytes = 0
  dirty = true
  #window: SlowdownWindow | null = null
  #newest: Newest | null = null
  #added: AddedDelay | null = null
  #commonShare = 0
  #view: PathView | null = null
  #renewedUs = 0

  constructor(
    index: number,
    description: PathDescription,
    nowUs: number,
    links: { pool: Pool; peers: PathClass; groups: readonly RiskGroup[]; rules: Rules },
  ) {
    const { settings } = links.rules
    this.index = index
    this.id = description.id
    this.pool = links.pool
    this.peers = links.peers
    this.groups = links.groups
    this.maxSessions = description.maxSessions || settings.sessionsPerPath
    this.maxBytes = description.maxBytes || Number.MAX_SAFE_INTEGER
    this.rate = new PathRate(description.nominal, settings)
    this.stateSinceUs = nowUs
  }

  /** State that counts. */
  get effective(): PathState {
    return this.pin === null ? this.state : this.pin.state
  }

  /** Made when first needed: a path that never carries anything stays small. */
  window(nowUs: number, spanUs: number): SlowdownWindow {
    this.#window ??= new SlowdownWindow()
    if (this.#window.advance(nowUs, spanUs)) this.dirty = true
    return this.#window
  }

  newest(): Newest {
    this.#newest ??= new Newest()
    return this.#newest
  }

  added(): AddedDelay {
    this.#added ??= new AddedDelay()
    return this.#added
  }

  /** Predictions hold that it adds a delay to every transfer. */
  get delayed(): boolean {
    return this.#added !== null && this.#added.delayUs > 0
  }

  /** Evidence of before does not count against what comes after. */
  forgetWindow(): void {
    this.#window?.clear()
    this.#newest?.clear()
    this.#added?.clear()
    this.dirty = true
    this.level = 0
    this.upTicks = 0
    this.downTicks = 0
  }

  get windowEmpty(): boolean {
    return this.#window === null || this.#window.empty
  }

  /** Sum of ok and failed samples in the window as of its last advance. */
  get windowCount(): number {
    return this.#window === null ? 0 : this.#window.ok + this.#window.failed
  }

  windowErrors(): { ok: number; failed: number } {
    return this.#window === null ? NO_ERRORS : this.#window
  }

  quantiles(): Quantiles {
    return this.#window?.quantiles() ?? NO_QUANTILES
  }

  view(nowUs: number, rules: Rules): PathView {
    if (this.#window?.advance(nowUs, rules.windowUs) === true) this.dirty = true
    // Confidence and demand fade without an event, also on a path that no tick looks at.
    const fresh = nowUs - this.#renewedUs < rules.tickUs
    return this.#view !== null && fresh && !this.dirty ? this.#view : this.renew(nowUs, rules, this.stalled)
  }

  /** @param stalled slowdown so far of the oldest transfer in flight, 0 when none counts */
  renew(nowUs: number, rules: Rules, stalled: number): PathView {
    this.dirty = false
    this.#renewedUs = nowUs
    this.stalled = stalled
    const q = this.quantiles()
    const { ok, failed } = this.windowErrors()
    this.#shareMedian(q.n >= rules.settings.minSamples ? q.s50 : 0)
    const common = rules.commonMode ? this.peers.common : ONE
    const gfs = grayFailureScore({
      s50: q.s50,
      s99: q.s99,
      common,
      ok,
      failed,
      stalled,
      tail: rules.tail,
    })
    const weight = this.evidence.at(nowUs, rules.confidenceHalfLifeUs)
    const prior = common > ONE ? common : weight === 0 ? UNKNOWN_SLOWDOWN : ONE
    const newest = this.#newest
    const added = this.#added
    // Nobody has looked for so long that it may be gone.
    const delayed = added !== null && added.delayUs > 0 && nowUs - added.atUs <= rules.staleUs
    const fast = delayed ? added.slowdown : newest === null || newest.count === 0 ? prior : newest.median()
    const expected = Math.round((weight * fast + PRIOR_50 * prior) / (weight + PRIOR_50))
    // Beside a delay the tail of the slowdowns says how short the transfers were; the delay has a tail of its own.
    const shrink = delayed ? 0 : q.n / (q.n + PRIOR_99)
    const demand = this.demand.at(nowUs, DEMAND_HALF_LIFE_US) * DEMAND_PER_SECOND
    const carries = (1_000_000 / this.rate.usPerByte) * (ONE / expected)
    this.#view = {
      state: this.effective,
      stage: this.stage,
      gfs,
      samples: q.n,
      s50: q.s50,
      s90: q.s90,
      s99: q.s99,
      expected,
      spread90: Math.round((q.s90 - q.s50) * shrink + (prior / 4) * (1 - shrink)),
      spread99: Math.round((q.s99 - q.s50) * shrink + (prior / 2) * (1 - shrink)),
      delayUs: delayed ? added.delayUs : 0,
      delaySpreadUs: delayed ? added.spreadUs : 0,
      confidence: weight / (weight + 8),
      lastSampleUs: this.lastSampleUs,
      failedShare: failed === 0 ? 0 : failed / (ok + failed),
      fixedUs: this.rate.fixedUs,
      usPerByte: this.rate.usPerByte,
      demand,
      spare: Math.max(0, carries - demand),
      utilisation: Math.min(1, demand / carries),
      suspect: this.groups.some((group) => group.suspect),
    }
    return this.#view
  }

  #shareMedian(s50: number): void {
    this.peers.moved(this.#commonShare, s50)
    this.#commonShare = s50
  }
}

const NO_ERRORS = Object.freeze({ ok: 0, failed: 0 })
const NO_QUANTILES: Quantiles = Object.freeze({ n: 0, s50: 0, s90: 0, s99: 0 })
/** A steady rate r piles up r x halfLife / ln 2 in a decaying sum. */
const DEMAND_PER_SECOND = Math.LN2 / (DEMAND_HALF_LIFE_US / 1_000_000)
