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

const ignore = (): void => {}

export class Transfer {
  /** Resolves or rejects exactly once, at the latest shortly after the deadline. */
  readonly settled: Promise<TransferOutcome>
  #resolve!: (outcome: TransferOutcome) => void
  #reject!: (error: SeamError) => void
  #quiesced: Promise<void> | undefined
  #resolveQuiesced: (() => void) | undefined
  #isSettled = false
  #isQuiesced = false
  #quarantined = false
  readonly #cancel: () => void

  constructor(cancel: () => void) {
    this.#cancel = cancel
    this.settled = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
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
    this.#cancel()
  }

  /** @internal */
  settle(outcome: TransferOutcome | SeamError): void {
    this.#isSettled = true
    if (outcome instanceof Error) {
      // A caller may wait for `quiesced` alone; the failure is then not an unhandled one.
      this.settled.catch(ignore)
      this.#reject(outcome)
    } else {
      this.#resolve(outcome)
    }
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
