// What a caller gets for a request: leave to move the bytes, a place in line, or a reasoned no.

import type { Path } from './paths.js'
import type { Permit } from './permit.js'
import type { DecisionRecord } from './record/decision-record.js'
import type { RecordedDecision } from './record/recorded-policy.js'

export interface Admitted {
  readonly outcome: 'admitted'
  readonly path: Path
  readonly permit: Permit
  /** Session lease; give it back with `policy.release()` unless `seam.transfer()` does. */
  readonly lease: number
  /** Class of the request. */
  readonly workload: string
  /** What the policy expects it to take at the worst that it plans for, microseconds; null when it predicts nothing. */
  readonly predictedUs: number | null
  readonly record: DecisionRecord
}

/** `recompute_locally`: computing the blocks again at the destination is expected to be faster than any path. */
export interface Rejected {
  readonly outcome: 'rejected' | 'recompute_locally'
  readonly record: DecisionRecord
}

/** Nothing can take it now, but something is expected to in time. Only for requests with `queue: true`. */
export interface Queued {
  readonly outcome: 'queued'
  readonly record: DecisionRecord
  /** Settles once, at the latest at the deadline. Rejects only when the seam is closed. */
  readonly answer: Promise<Admitted | Rejected>
  /** Leaves the queue: the answer is then a rejection, unless it has been given already. */
  withdraw(): void
}

export type Decision = Admitted | Queued | Rejected

/** @internal Its record is built on first look, so that an unread and unlogged one costs nothing. */
export class AdmittedOutcome implements Admitted {
  readonly outcome = 'admitted'
  readonly path: Path
  readonly permit: Permit
  readonly lease: number
  readonly workload: string
  readonly predictedUs: number | null
  readonly #judged: RecordedDecision

  constructor(judged: RecordedDecision, path: Path, permit: Permit) {
    this.#judged = judged
    this.path = path
    this.permit = permit
    this.lease = judged.decision.leaseId
    this.workload = judged.request.workload.name
    this.predictedUs = judged.decision.predictedUs ?? null
  }

  get record(): DecisionRecord {
    return this.#judged.record
  }
}

/** @internal */
export class RejectedOutcome implements Rejected {
  readonly outcome: 'rejected' | 'recompute_locally'
  readonly #judged: RecordedDecision

  constructor(judged: RecordedDecision) {
    this.#judged = judged
    this.outcome = judged.decision.verdict === 'recompute_locally' ? 'recompute_locally' : 'rejected'
  }

  get record(): DecisionRecord {
    return this.#judged.record
  }
}
