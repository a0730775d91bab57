// One posted operation as JavaScript sees it: two promises, one for the outcome and one for the memory.

import type { SeamError } from '../errors.js'

/** What a successful transfer measured; times are native, so a busy event loop does not lengthen them. */
export interface TransferOutcome {
  readonly bytes: number
  /** Submit to handed to the transport. */
  readonly postNs: number
  /** Handed to the transport to arrived. */
  readonly wireNs: number
  /** Submit to settled. */
  readonly totalNs: number
  /** This process was stalled meanwhile: the times say nothing about the path. */
  readonly selfDelayed: boolean
}

/** Who can cancel the transfer that the addon knows by a number. */
export interface Canceller {
  cancel(number: number): void
}

const ignore = (): void => {}

// One executor for all promises: the constructor below reads what it left here, and nothing is allocated for it.
let lastResolve: (outcome: TransferOutcome) => void
let lastReject: (error: SeamError) => void
const leaveFunctions = (resolve: (outcome: TransferOutcome) => void, reject: (error: SeamError) => void): void => {
  lastResolve = resolve
  lastReject = reject
}

export class Transfer {
  /** Resolves or rejects exactly once, at the latest shortly after the deadline. */
  readonly settled: Promise<TransferOutcome>
  readonly #resolve: (outcome: TransferOutcome) => void
  readonly #reject: (error: SeamError) => void
  #quiesced: Promise<void> | undefined
  #resolveQuiesced: (() => void) | undefined
  #isSettled = false
  #isQuiesced = false
  #quarantined = false
  readonly #canceller: Canceller
  readonly #number: number

  constructor(canceller: Canceller, number: number) {
    this.#canceller = canceller
    this.#number = number
    this.settled = new Promise(leaveFunctions)
    this.#resolve = lastResolve
    this.#reject = lastReject
  }

  /** Resolves when neither hardware nor a thread can touch the memory any more; never rejects, may never resolve. */
  get quiesced(): Promise<void> {
    this.#quiesced ??= this.#isQuiesced
      ? Promise.resolve()
      : new Promise((resolve) => {
          this.#resolveQuiesced = resolve
        })
    return this.#quiesced
  }

  get isSettled(): boolean {
    return this.#isSettled
  }

  get isQuiesced(): boolean {
    return this.#isQuiesced
  }

  /** It settled, but did not quiesce within the grace: its memory is held back until it does. */
  get isQuarantined(): boolean {
    return this.#quarantined
  }

  /** Settles with KVSEAM_CANCELLED unless it has settled already. */
  cancel(): void {
    this.#canceller.cancel(this.#number)
  }

  /** @internal */
  succeed(outcome: TransferOutcome): void {
    this.#isSettled = true
    this.#resolve(outcome)
  }

  /** @internal */
  fail(error: SeamError): void {
    this.#isSettled = true
    // A caller may wait for `quiesced` alone; the failure is then not an unhandled one.
    this.settled.catch(ignore)
    this.#reject(error)
  }

  /** @internal */
  quiesce(): void {
    this.#isQuiesced = true
    this.#quarantined = false
    this.#resolveQuiesced?.()
  }

  /** @internal */
  quarantine(): void {
    this.#quarantined = true
  }
}
