// Those whose requests the policy has queued: each gets one answer, which comes with a tick, by leaving, or at the end.

import { type Admitted, type Queued, type Rejected, RejectedOutcome } from './decision.js'
import type { RecordedDecision } from './record/recorded-policy.js'

interface Waiter {
  readonly queued: RecordedDecision
  resolve(answer: Admitted | Rejected): void
  reject(error: Error): void
}

export class WaitingLine {
  /** By ticket. */
  readonly #waiters = new Map<number, Waiter>()

  get size(): number {
    return this.#waiters.size
  }

  /** @param left called with the ticket when the caller leaves before the answer */
  join(judged: RecordedDecision, left: (ticket: number) => void): Queued {
    const { ticket } = judged.decision
    const answer = new Promise<Admitted | Rejected>((resolve, reject) => {
      this.#waiters.set(ticket, { queued: judged, resolve, reject })
    })
    answer.catch(() => {}) // a caller may be gone when the seam is closed
    return {
      outcome: 'queued',
      get record() {
        return judged.record
      },
      answer,
      withdraw: () => {
        const waiter = this.#waiters.get(ticket)
        if (waiter === undefined) return
        this.#waiters.delete(ticket)
        left(ticket)
        waiter.resolve(new RejectedOutcome(waiter.queued))
      },
    }
  }

  /** False when nobody waits for it any more. An answer that can't be made becomes the waiter's rejection. */
  answer(ticket: number, make: () => Admitted | Rejected): boolean {
    const waiter = this.#waiters.get(ticket)
    if (waiter === undefined) return false
    this.#waiters.delete(ticket)
    try {
      waiter.resolve(make())
    } catch (error) {
      waiter.reject(error as Error)
    }
    return true
  }

  close(error: Error): void {
    for (const waiter of this.#waiters.values()) waiter.reject(error)
    this.#waiters.clear()
  }
}
