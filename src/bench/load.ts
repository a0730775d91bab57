// Drives one path: a closed loop with so many transfers in flight, or an open one that posts on schedule. On schedule, latency
// counts from when a transfer was due, not from when there was room for it: a slow transfer then lengthens those behind it
// instead of hiding them (coordinated omission).

import { setTimeout as sleep } from 'node:timers/promises'
import { SeamError } from '../errors.js'
import type { TransferOutcome } from '../native/transfer.js'
import { LatencyHistogram } from './latency-histogram.js'
import type { Poster, Slot } from './poster.js'

/** After a refusal a lane waits this long: refusing is fast, and a loop of it would measure nothing else. */
const REFUSED_PAUSE_MS = 1
/** After the end of the measurement, for what is still in flight or behind schedule. */
const DRAIN_MS = 5_000
/** Timers come up to a millisecond late, so the last stretch before a due time is waited for turn by turn. */
const TURN_BY_TURN_MS = 2

export interface Load {
  readonly poster: Poster
  readonly slots: readonly Slot[]
  /** Transfers in flight. */
  readonly window: number
  readonly durationMs: number
  /** Transfers a second; 0 for a closed loop. */
  readonly ratePerSecond: number
  readonly signal: AbortSignal
  /** What this run adds to. */
  readonly result: LoadResult
  /** By slot: whose transfer arrived there last; a failed one leaves half of the bytes and takes the slot out. */
  readonly arrivedIn: Map<Slot, LoadResult>
  /** Called with every slot whose transfer arrived, before it is used again. False: the bytes are wrong. */
  readonly check?: ((slot: Slot) => Promise<boolean>) | undefined
  /** Called with every slot before its transfer. */
  readonly mark?: ((slot: Slot) => void) | undefined
}

export class LoadResult {
  /** Due or submitted to settled promise: with everything that JavaScript adds. */
  readonly total = new LatencyHistogram()
  /** Native: submitted to handed to the transport. */
  readonly post = new LatencyHistogram()
  /** Native: handed to the transport to arrived. */
  readonly transfer = new LatencyHistogram()
  /** Of each round. */
  readonly bytesPerSecond: number[] = []
  bytes = 0
  seconds = 0
  refused = 0
  checked = 0
  mismatched = 0
  /** Due, but not posted before the drain was over; counted in `total` with the time they had waited by then. */
  unposted = 0
  readonly failed = new Map<string, number>()
  /** Samples during which this process itself was stalled. */
  selfDelayed = 0
}

/** One round. */
export async function drive(load: Load): Promise<void> {
  const run = new Run(load)
  if (load.ratePerSecond > 0) await run.onSchedule()
  else await run.closedLoop()
}

class Run {
  readonly #load: Load
  readonly #free: Slot[]
  readonly #result: LoadResult
  readonly #bytesBefore: number
  readonly #startMs = performance.now()
  readonly #endMs: number
  #inFlight = 0
  #lastArrivalMs = this.#startMs
  #waiting: (() => void)[] = []
  #fatal: unknown

  constructor(load: Load) {
    this.#load = load
    this.#result = load.result
    this.#bytesBefore = load.result.bytes
    this.#free = [...load.slots]
    this.#endMs = this.#startMs + load.durationMs
  }

  async closedLoop(): Promise<void> {
    const lanes = Math.min(this.#load.window, this.#load.slots.length)
    await Promise.all(Array.from({ length: lanes }, () => this.#lane()))
    this.#finish()
  }

  async onSchedule(): Promise<void> {
    const gapMs = 1000 / this.#load.ratePerSecond
    const drainByMs = this.#endMs + DRAIN_MS
    let posted = 0
    const dueMs = (): number => this.#startMs + posted * gapMs
    while (dueMs() < this.#endMs && !this.#stopped && performance.now() < drainByMs) {
      const waitMs = dueMs() - performance.now()
      if (waitMs > TURN_BY_TURN_MS) await sleep(waitMs - TURN_BY_TURN_MS)
      else if (waitMs > 0) await turn()
      else if (this.#inFlight >= this.#load.window || this.#free.length === 0) await this.#room(drainByMs)
      else {
        void this.#one(this.#free.shift()!, dueMs())
        posted++
      }
    }
    for (; dueMs() < this.#endMs && !this.#stopped; posted++) {
      this.#result.unposted++
      this.#result.total.record((performance.now() - dueMs()) * 1e6)
    }
    while (this.#inFlight > 0 && performance.now() < drainByMs) await this.#room(drainByMs)
    this.#finish()
  }

  async #lane(): Promise<void> {
    while (performance.now() < this.#endMs && !this.#stopped) {
      const slot = this.#free.shift()
      if (slot !== undefined) await this.#one(slot, performance.now())
      else await this.#room(this.#endMs) // a failed transfer that is not quiet yet holds it
    }
  }

  /** One transfer, whatever becomes of it. Never rejects. */
  async #one(slot: Slot, fromMs: number): Promise<void> {
    const { poster, arrivedIn, mark, check } = this.#load
    this.#inFlight++
    let quiet = false
    let done = false
    const giveBack = (): void => {
      if (!quiet || !done) return
      this.#free.push(slot)
      this.#tellWaiting()
    }
    const idle = (): void => {
      quiet = true
      giveBack()
    }
    try {
      mark?.(slot)
      arrivedIn.delete(slot)
      const outcome = await poster.post(slot, idle)
      if (outcome === 'refused') {
        this.#result.refused++
        await sleep(REFUSED_PAUSE_MS)
      } else {
        this.#arrived(outcome, fromMs)
        arrivedIn.set(slot, this.#result)
        if (check !== undefined) {
          this.#result.checked++
          if (!(await check(slot))) this.#result.mismatched++
        }
      }
    } catch (error) {
      const code = SeamError.is(error) ? error.code : 'unexpected'
      this.#result.failed.set(code, (this.#result.failed.get(code) ?? 0) + 1)
      if (!SeamError.is(error)) this.#fatal ??= error
      await turn() // an error at once, again and again, must not hold the event loop
    } finally {
      this.#inFlight--
      done = true
      giveBack()
      this.#tellWaiting()
    }
  }

  get #stopped(): boolean {
    return this.#load.signal.aborted || this.#fatal !== undefined
  }

  #arrived(outcome: TransferOutcome, fromMs: number): void {
    const result = this.#result
    this.#lastArrivalMs = performance.now()
    result.total.record((this.#lastArrivalMs - fromMs) * 1e6)
    result.post.record(outcome.postNs)
    result.transfer.record(outcome.wireNs)
    result.bytes += outcome.bytes
    if (outcome.selfDelayed) result.selfDelayed++
  }

  /** Until a slot comes free or a transfer ends, or the time is up. */
  async #room(untilMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, Math.max(1, untilMs - performance.now()))
      this.#waiting.push(() => {
        clearTimeout(timer)
        resolve()
      })
    })
  }

  #tellWaiting(): void {
    if (this.#waiting.length === 0) return
    const waiting = this.#waiting
    this.#waiting = []
    for (const tell of waiting) tell()
  }

  #finish(): void {
    if (this.#fatal !== undefined) throw this.#fatal
    const seconds = (Math.max(this.#lastArrivalMs, this.#startMs + 1) - this.#startMs) / 1e3
    this.#result.seconds += seconds
    this.#result.bytesPerSecond.push((this.#result.bytes - this.#bytesBefore) / seconds)
  }
}

async function turn(): Promise<void> {
  await new Promise<void>((resolve) => setImmediate(resolve))
}
