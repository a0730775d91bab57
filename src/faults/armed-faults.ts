// One armed set of fault rules: what it has done, and how to end it or to let go what it has paused.

import { refuse } from '../check.js'
import type { NativeFiring, NativeRuleReport } from '../native/binding.js'

/** One action taken. The same seed, rules and operations give the same firings, whatever the threads did. */
export interface Firing {
  /** From 1, as written from left to right. */
  readonly rule: number
  /** From 1 within its rule. */
  readonly step: number
  readonly path: string
  readonly op: string
  /** Number of the operation on this path and of this kind since arming, from 1. */
  readonly seq: number
  readonly action: string
  /** Drawn time in nanoseconds, bytes moved or count: whatever the action has, else 0. */
  readonly value: number
}

export interface RuleReport {
  readonly rule: number
  readonly text: string
  readonly line: number
  readonly column: number
  /** Some path or agent answers to its name. False is most often a misspelt name. */
  readonly known: boolean
  /** Operations that it looked at: path, operation, window and filters fit. */
  readonly matched: number
  readonly fired: number
  /** Operations that wait for `resume()` now. */
  readonly paused: number
}

export interface FaultReport {
  readonly origin: string
  readonly seed: string
  /** Chosen here, since the rules gave none; write `seed=...;` before them to see the same again. */
  readonly seedChosen: boolean
  readonly rules: readonly RuleReport[]
  /** Firings that came too fast to be kept. */
  readonly firingsLost: number
}

/** What an armed set needs from the seam's `Faults`. */
export interface ArmedBackstage {
  report(): { lost: number; rules: NativeRuleReport[] }
  takeFirings(): NativeFiring[]
  /** Calls `absorb()` and does what the firings ask for. */
  collect(): void
  resume(rule: number): boolean
  disarm(): void
}

/** Firings kept for `firings`. */
const MOST_FIRINGS = 65_536

export class ArmedFaults {
  /** Where the rules come from: `arm()`, `openSeam({ faults })` or an environment flag. */
  readonly origin: string
  readonly text: string
  /** A whole number as text: it may be larger than a JavaScript number is exact. */
  readonly seed: string
  readonly seedChosen: boolean
  readonly #backstage: ArmedBackstage
  #firings: Firing[] = []
  #firingsLost = 0
  #waiters: { rule: number; resolve: () => void; reject: (error: Error) => void }[] = []
  #last: FaultReport | undefined

  /** @internal Use `seam.faults.arm()`. */
  constructor(init: { origin: string; text: string; seed: string; seedChosen: boolean; backstage: ArmedBackstage }) {
    this.origin = init.origin
    this.text = init.text
    this.seed = init.seed
    this.seedChosen = init.seedChosen
    this.#backstage = init.backstage
  }

  get armed(): boolean {
    return this.#last === undefined
  }

  /** What each rule has seen and done so far; after disarming, what it had done by then. */
  report(): FaultReport {
    if (this.#last !== undefined) return this.#last
    const native = this.#backstage.report()
    return {
      origin: this.origin,
      seed: this.seed,
      seedChosen: this.seedChosen,
      rules: native.rules.map((rule, i) => ({ rule: i + 1, ...rule })),
      firingsLost: native.lost + this.#firingsLost,
    }
  }

  /** Everything that fired so far, oldest first; of one path in the order of its operations. */
  get firings(): readonly Firing[] {
    if (this.#last === undefined) this.#backstage.collect()
    return this.#firings
  }

  /**
   * Lets go everything that `rule` (from 1) has paused.
   * @throws KVSEAM_INVALID_ARGUMENT when there is no such rule
   */
  resume(rule = 1): void {
    if (this.#last !== undefined) return
    if (!this.#backstage.resume(rule)) {
      throw refuse('KVSEAM_INVALID_ARGUMENT', 'rule', rule, 'rules are numbered from 1 as written')
    }
  }

  /** Resolves once an operation waits in `rule` (from 1): the meeting point for tests, without sleeping. */
  async whenPaused(rule = 1): Promise<void> {
    const isPaused = (): boolean => (this.report().rules[rule - 1]?.paused ?? 0) > 0
    if (isPaused()) return
    await new Promise<void>((resolve, reject) => {
      this.#waiters.push({ rule, resolve, reject })
    })
  }

  /** Ends it: nothing fires any more, and what it held back goes on. Idempotent. */
  disarm(): void {
    if (this.#last !== undefined) return
    this.#backstage.collect()
    this.#last = this.report()
    this.#backstage.disarm()
    const waiters = this.#waiters
    this.#waiters = []
    for (const waiter of waiters) waiter.reject(new Error('the faults were disarmed before anything was paused'))
  }

  [Symbol.dispose](): void {
    this.disarm()
  }

  /** @internal Takes over what fired since the last time. */
  absorb(): readonly Firing[] {
    const news: Firing[] = this.#backstage.takeFirings()
    this.#firings.push(...news)
    if (this.#firings.length > MOST_FIRINGS) {
      const over = this.#firings.length - MOST_FIRINGS
      this.#firings = this.#firings.slice(over)
      this.#firingsLost += over
    }
    for (const firing of news) {
      if (firing.action !== 'pause') continue
      const met = this.#waiters.filter((waiter) => waiter.rule === firing.rule)
      this.#waiters = this.#waiters.filter((waiter) => waiter.rule !== firing.rule)
      for (const waiter of met) waiter.resolve()
    }
    return news
  }

  /** @internal */
  get unused(): readonly RuleReport[] {
    return this.report().rules.filter((rule) => rule.fired === 0)
  }
}
