// Turns records of the completion ring into settled promises: one wake-up, one crossing, a table indexed by slot.

import { SeamError } from '../errors.js'
import {
  type Binding,
  EVENTS_WAITING,
  FLAG,
  NATIVE_BLAMES,
  NATIVE_CODES,
  type NativeEvent,
  RECORD,
  SLOTS,
} from './binding.js'
import { type Canceller, Transfer } from './transfer.js'
import { Watchdog } from './watchdog.js'

/** Records taken in one crossing; more than this and the event loop gets a turn in between. At 3 us each: below a millisecond. */
const BATCH = 256

export class Completions implements Canceller {
  readonly #binding: Binding
  readonly #agentName: string
  readonly #onEvent: (event: NativeEvent) => void
  readonly #wakePerCompletion: boolean
  readonly #records: Float64Array
  readonly #transfers: (Transfer | undefined)[] = []
  #agent = 0
  #unquiesced = 0
  #holds = 0
  #looking = false
  #idle: (() => void)[] = []
  readonly #watchdog = new Watchdog(
    () => this.#binding.progressLag(this.#agent),
    (lagNs) => this.#settleOverdue(lagNs),
  )
  /** Called while the progress thread is stuck, for what else waits for it. */
  onStuck: (lagNs: number) => void = () => {}

  /** @param wakePerCompletion benchmarks only: every wake-up delivers one record */
  constructor(binding: Binding, agentName: string, onEvent: (event: NativeEvent) => void, wakePerCompletion = false) {
    this.#wakePerCompletion = wakePerCompletion
    this.#records = new Float64Array((wakePerCompletion ? 1 : BATCH) * RECORD.fields)
    this.#binding = binding
    this.#agentName = agentName
    this.#onEvent = onEvent
  }

  /**
   * The function that the addon calls on this thread when records or events wait. It is called once for a spell of work: as
   * long as there is some, the event loop looks by itself, once a turn. Acknowledging at once would let the next wake-up in
   * while this one is served, and Node serves up to a thousand of those before timers and sockets get a turn.
   */
  readonly onWake = (): void => {
    if (this.#agent === 0) return
    if (this.#wakePerCompletion) {
      this.#binding.acknowledgeWake(this.#agent)
      this.drain()
      return
    }
    this.drain()
    this.#lookSoon()
  }

  readonly #look = (): void => {
    this.#looking = false
    if (this.#agent === 0) return
    if (!this.drain()) {
      this.#binding.acknowledgeWake(this.#agent)
      // What came after the look and before the word that wakes again.
      if (!this.drain()) return
    }
    this.#lookSoon()
  }

  #lookSoon(): void {
    if (this.#looking) return
    this.#looking = true
    setImmediate(this.#look)
  }

  attach(agent: number): void {
    this.#agent = agent
  }

  detach(): void {
    this.#watchdog.stop()
    this.#agent = 0
  }

  get unquiesced(): number {
    return this.#unquiesced
  }

  /** Registers a transfer that the addon has just accepted under `number`. */
  track(number: number): Transfer {
    const transfer = new Transfer(this, number)
    // Not %: on numbers above 2^31 that is a library call.
    this.#transfers[number - Math.floor(number / SLOTS) * SLOTS] = transfer
    this.#unquiesced++
    this.hold()
    return transfer
  }

  /** Asks for the end of a transfer; nothing happens when it is over, or the agent is. */
  cancel(number: number): void {
    if (this.#agent !== 0) this.#binding.cancel(this.#agent, number)
  }

  /** An outcome is owed: the process stays alive until it is delivered. Idle agents hold nobody. */
  hold(): void {
    if (this.#holds++ > 0) return
    this.#binding.keepAlive(this.#agent, true)
    this.#watchdog.watch()
  }

  letGo(): void {
    if (--this.#holds > 0) return
    this.#watchdog.rest()
    if (this.#agent !== 0) this.#binding.keepAlive(this.#agent, false)
  }

  /** Resolves when every transfer has quiesced, or after the time is up; says which. */
  async whenIdle(timeoutMs: number): Promise<boolean> {
    if (this.#unquiesced === 0) return true
    return await new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => {
        this.#idle = this.#idle.filter((waiter) => waiter !== done)
        resolve(false)
      }, timeoutMs)
      const done = (): void => {
        clearTimeout(timer)
        resolve(true)
      }
      this.#idle.push(done)
    })
  }

  /** Cancels whatever has not settled. */
  cancelAll(): void {
    for (const transfer of this.#transfers) transfer?.cancel()
  }

  /** At the end, when no record comes any more: what has not settled does so now. */
  settleRest(error: SeamError): void {
    for (const transfer of this.#transfers) if (transfer?.isSettled === false) transfer.fail(error)
  }

  /** Delivers what waits; true when there was something. */
  drain(): boolean {
    const records = this.#records
    let taken = this.#binding.drain(this.#agent, records)
    const news = taken >= EVENTS_WAITING
    if (news) taken -= EVENTS_WAITING
    for (let at = 0; at < taken * RECORD.fields; at += RECORD.fields) this.#deliver(at)
    if (news) {
      for (const event of this.#binding.takeEvents(this.#agent)) this.#onEvent(event)
    }
    return taken > 0 || news
  }

  #deliver(at: number): void {
    const records = this.#records
    const slot = records[at + RECORD.slot]!
    const flags = records[at + RECORD.flags]!
    const transfer = this.#transfers[slot]
    if (transfer === undefined) return
    if ((flags & FLAG.settled) !== 0 && !transfer.isSettled) {
      if (records[at + RECORD.code] === 0) transfer.succeed(this.#success(at, flags))
      else transfer.fail(this.#failure(at, flags))
      this.letGo()
    }
    if ((flags & FLAG.quarantined) !== 0) transfer.quarantine()
    if ((flags & FLAG.quiesced) !== 0) {
      this.#transfers[slot] = undefined
      transfer.quiesce()
      if (--this.#unquiesced === 0) {
        for (const done of this.#idle) done()
        this.#idle = []
      }
    }
  }

  #settleOverdue(lagNs: number): void {
    for (const [slot, transfer] of this.#transfers.entries()) {
      if (transfer === undefined || transfer.isSettled || this.#binding.remaining(this.#agent, slot) > 0) continue
      transfer.fail(stuckError(this.#agentName, lagNs))
      this.letGo()
    }
    this.onStuck(lagNs)
  }

  #success(
    at: number,
    flags: number,
  ): {
    bytes: number
    postNs: number
    wireNs: number
    totalNs: number
    selfDelayed: boolean
  } {
    const records = this.#records
    return {
      bytes: records[at + RECORD.bytes]!,
      postNs: records[at + RECORD.postNs]!,
      wireNs: records[at + RECORD.wireNs]!,
      totalNs: records[at + RECORD.totalNs]!,
      selfDelayed: (flags & FLAG.selfDelayed) !== 0,
    }
  }

  #failure(at: number, flags: number): SeamError {
    const records = this.#records
    const code = NATIVE_CODES[records[at + RECORD.code]!] ?? 'KVSEAM_TRANSFER_FAILED'
    const blame = NATIVE_BLAMES[records[at + RECORD.blame]!] ?? 'local'
    const backendCode = records[at + RECORD.backendCode]!
    const bytes = records[at + RECORD.bytes]! // moved before it failed; the destination is dirty
    const detail = backendCode === 0 ? '' : this.#binding.describe(this.#agent, backendCode)
    const facts = {
      agent: this.#agentName,
      totalNs: records[at + RECORD.totalNs]!,
      bytesUnknown: (flags & FLAG.bytesUnknown) !== 0,
      ...(bytes === 0 ? {} : { bytes }),
      selfDelayed: (flags & FLAG.selfDelayed) !== 0,
      ...(backendCode === 0 ? {} : { backendCode, backendText: detail }),
    }
    return new SeamError(
      code,
      facts,
      FAILURE_TEXT[code] ?? `the transfer failed${detail === '' ? '' : `: ${detail}`}`,
      { blame },
    )
  }
}

/** The progress thread hangs inside its backend: nobody knows how far the bytes came, and it is not the path's fault. */
export function stuckError(agent: string, lagNs: number): SeamError {
  return new SeamError(
    'KVSEAM_TIMEOUT',
    { agent, bytesUnknown: true, selfDelayed: true, progressLagMs: Math.round(lagNs / 1e6) },
    `the deadline has passed and the progress thread of agent '${agent}' has been stuck inside its backend for ${Math.round(lagNs / 1e6)} ms; do not use the destination, and close the agent if this lasts`,
    { blame: 'local' },
  )
}

const FAILURE_TEXT: Partial<Record<string, string>> = {
  KVSEAM_TIMEOUT:
    'the transfer did not end before its deadline; how many bytes arrived is unknown, so do not use the destination',
  KVSEAM_CANCELLED: 'the transfer was cancelled; do not use the destination',
  KVSEAM_PEER_DOWN: 'the peer is down; decide again without it, and connect when it is back',
  KVSEAM_STALE_REGION: "the peer's region was closed meanwhile; fetch its metadata again",
  KVSEAM_CLOSED: 'the agent was closed while the transfer was in flight; do not use the destination',
}
