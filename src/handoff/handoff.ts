// The whole act for one request: admit, move, verify, release; and when a path breaks on the way, decide again for what is left.
// The session goes back, and other paths may write the same blocks, only when the memory is quiet.

import { spanNs, wholeNumber } from '../check.js'
import type { DecideRequest } from '../decide-request.js'
import type { Admitted } from '../decision.js'
import { SeamError } from '../errors.js'
import type { Descriptors } from '../native/descriptors.js'
import type { TransferOutcome } from '../native/transfer.js'
import type { Orchestrator } from '../orchestrator.js'
import type { Path } from '../paths.js'
import { claimPermit } from '../permit.js'
import type { DecisionRecord } from '../record/decision-record.js'
import { admission, patienceMs } from './admission.js'
import { checkDecision, checkRequest, checkSides } from './arguments.js'
import { type Chunk, type Moved, moveCargo } from './move.js'
import { outcomeOf, wasAborted } from './outcome.js'
import { compareDigest, sourceDigest } from './verification.js'

export interface MoveRequest {
  readonly from: Descriptors
  /**
   * No byte twice, and none that a transfer of the same agent may still write: until that has quiesced, whatever it
   * settled with, these bytes are refused with KVSEAM_REGION_BUSY. Sources may be shared.
   */
  readonly to: Descriptors
  /** From now; the seam's default unless told. */
  readonly deadlineMs?: number
  readonly signal?: AbortSignal
  /** Control message of at most 1,024 bytes that the peer gets after the bytes are visible there. Push only. */
  readonly notify?: Uint8Array
  /**
   * Whether the destination's digest is compared with the source's before the blocks may be used. `auto`: whenever a source
   * digest can be had (the source is in this process, or `sourceDigest` is given) and the destination is here.
   */
  readonly verify?: 'auto' | 'off' | 'always'
  /** CRC-32C of the source blocks, from their owner. */
  readonly sourceDigest?: number
  /**
   * Called exactly once when nothing can touch the blocks any more, however the transfer ended or if it was never posted.
   * After a failure this, not the rejection, is the moment to give the blocks to somebody else.
   */
  readonly onQuiesced?: () => void
}

export interface MoveResult {
  /** Path that the last bytes took. */
  readonly path: Path
  readonly bytes: number
  readonly outcome: TransferOutcome
  /** Native time from submit to arrived, milliseconds; over several chunks, from the first to the last. */
  readonly ms: number
  /** True when both digests were compared and agree. */
  readonly verified: boolean
  readonly digest: number | null
  /** Paths that failed on the way, in order. */
  readonly failedOver: readonly string[]
  /** Resolves when nothing can touch the memory any more; the lease is given back then. */
  readonly quiesced: Promise<void>
}

export interface HandoffRequest extends MoveRequest {
  readonly workload: DecideRequest['workload']
  readonly requestId?: string
  readonly exclude?: readonly string[]
  /** Other paths to try for what is left when one breaks on the way, 0 to 8; 2 unless told. */
  readonly failovers?: number
  /** Wait in line while nothing can take it but something will in time; true unless told. */
  readonly queue?: boolean
  /** What computing the blocks again at the destination would take. */
  readonly recomputeMs?: number
}

export interface HandoffResult extends MoveResult {
  /** The decision that the last bytes moved under. */
  readonly decision: DecisionRecord
}

export interface MoveDefaults {
  readonly deadlineMs: number
  /** Larger moves are cut into transfers of about this. */
  readonly chunkBytes: number
}

/** How long a broken transfer may take to let go of the memory before another path is not tried any more. */
const FENCE_MS = 2000
const MOST_FAILOVERS = 8

/** Moves the bytes of an admitted decision. Observes the outcome, gives the lease back, whatever happens. */
export async function move(
  orchestrator: Orchestrator,
  decision: Admitted,
  request: MoveRequest,
  defaults: MoveDefaults,
): Promise<MoveResult> {
  checkDecision(decision)
  checkRequest(request)
  // Before anything can fail: the lease of a decision that is used already belongs to its first transfer.
  if (!claimPermit(decision.permit)) {
    throw new SeamError(
      'KVSEAM_PERMIT_INVALID',
      { path: decision.path.id },
      'the decision was used before, or its permit does not come from policy.decide(); decide again for each transfer',
    )
  }
  let journey: Journey
  try {
    checkSides(decision.path, request)
    journey = departure(request, defaults)
    if (journey.digest instanceof Promise) journey.digest = await journey.digest
    request.signal?.throwIfAborted()
  } catch (error) {
    orchestrator.abandon(decision)
    request.onQuiesced?.()
    throw error
  }
  const leg = await travel(orchestrator, decision, journey, 0, journey.untilMs)
  if (request.onQuiesced !== undefined) void leg.quiesced.then(request.onQuiesced)
  if (leg.error !== undefined) throw wasAborted(request.signal, leg.error)
  return new Arrival(decision, journey, leg, NONE)
}

/**
 * Decides and moves.
 * @throws KVSEAM_NOT_ADMISSIBLE with the decision record when the policy says no; KVSEAM_REGION_BUSY when another transfer
 * may still write the destination
 */
export async function handoff(
  orchestrator: Orchestrator,
  request: HandoffRequest,
  defaults: MoveDefaults,
): Promise<HandoffResult> {
  checkRequest(request)
  let quiet: Promise<unknown> | undefined
  try {
    const failovers = wholeNumber('failovers', request.failovers ?? 2, 0, MOST_FAILOVERS)
    const journey = departure(request, defaults)
    if (journey.digest instanceof Promise) journey.digest = await journey.digest
    request.signal?.throwIfAborted()
    let exclude = request.exclude ?? NONE
    let failedOver = NONE
    let broken: unknown
    for (let attempt = 0; ; attempt++) {
      let decision: Admitted
      try {
        const answer = admission(orchestrator, request, journey, exclude, attempt)
        decision = answer instanceof Promise ? await answer : answer
      } catch (error) {
        // What broke the first path says more than that no other may take over.
        throw attempt === 0 || request.signal?.aborted === true ? error : broken
      }
      const { path } = decision
      const another = attempt < failovers && orchestrator.hasAlternate(path, exclude)
      const untilMs = another ? patienceMs(decision, journey.untilMs) : journey.untilMs
      const leg = await travel(orchestrator, decision, journey, attempt, untilMs)
      if (request.onQuiesced !== undefined) quiet = Promise.all([quiet, leg.quiesced])
      if (leg.error === undefined) return new Arrival(decision, journey, leg, failedOver)
      broken = leg.error
      if (!another || !(await mayGoOn(request, journey, leg))) throw wasAborted(request.signal, leg.error)
      exclude = [...exclude, path.id]
      failedOver = [...failedOver, path.id]
      journey.chunks = leg.left
    }
  } finally {
    if (request.onQuiesced !== undefined) void Promise.resolve(quiet).then(request.onQuiesced)
  }
}

const NONE: readonly string[] = Object.freeze([])

export interface Journey {
  readonly request: MoveRequest
  /** Still to move. */
  chunks: readonly Chunk[]
  readonly deadlineMs: number
  /** The same, absolute, on performance.now(). */
  readonly untilMs: number
  /** Of the source; null when nobody compares digests here. */
  digest: number | null | Promise<number>
}

/** A class for its getter: the record is built when somebody looks, and most never do. */
class Arrival implements HandoffResult {
  readonly path: Path
  readonly bytes: number
  readonly outcome: TransferOutcome
  readonly ms: number
  readonly verified: boolean
  readonly digest: number | null
  readonly failedOver: readonly string[]
  readonly quiesced: Promise<void>
  readonly #decision: Admitted

  constructor(decision: Admitted, journey: Journey, moved: Moved, failedOver: readonly string[]) {
    this.path = decision.path
    this.bytes = journey.request.from.bytes
    this.outcome = moved.outcome
    this.ms = moved.outcome.totalNs / 1e6
    this.digest = journey.digest as number | null
    this.verified = this.digest !== null
    this.failedOver = failedOver
    this.quiesced = moved.quiesced
    this.#decision = decision
  }

  get decision(): DecisionRecord {
    return this.#decision.record
  }
}

function departure(request: MoveRequest, defaults: MoveDefaults): Journey {
  request.signal?.throwIfAborted()
  const deadlineMs = request.deadlineMs ?? defaults.deadlineMs
  spanNs('deadlineMs', deadlineMs)
  const { from, to } = request
  if (from.count !== to.count || from.bytes !== to.bytes) {
    throw new SeamError(
      'KVSEAM_INVALID_DESCRIPTOR',
      { from: [from.count, from.bytes], to: [to.count, to.bytes] },
      `from has ${from.count} descriptors of ${from.bytes} bytes and to has ${to.count} of ${to.bytes}; they must match one by one`,
    )
  }
  return {
    request,
    chunks: from.cut(defaults.chunkBytes),
    deadlineMs,
    untilMs: performance.now() + deadlineMs,
    digest: sourceDigest(request),
  }
}

/** One decision's part of the way. */
async function travel(
  orchestrator: Orchestrator,
  decision: Admitted,
  journey: Journey,
  attempt: number,
  untilMs: number,
): Promise<Moved> {
  const { request, chunks } = journey
  const digest = journey.digest as number | null
  orchestrator.started(decision)
  const moved = await moveCargo(orchestrator, decision, {
    from: request.from,
    to: request.to,
    chunks,
    notify: request.notify,
    deadlineMs: untilMs,
    signal: request.signal,
  })
  if (moved.error === undefined && digest !== null) {
    try {
      await compareDigest(request.to, digest, decision.path.id)
    } catch (error) {
      moved.error = error
    }
  }
  const quiesced = moved.quiesced.then(() => orchestrator.releaseQuietly(decision.lease))
  moved.quiesced = quiesced
  const { error, outcome } = moved
  const ended = outcomeOf(error)
  const totalUs = error === undefined ? outcome.totalNs / 1e3 : ended.totalUs
  orchestrator.settled(
    {
      path: decision.path.id,
      lease: decision.lease,
      outcome: ended.outcome,
      totalUs,
      bytes: bytesOf(chunks),
      selfDelayed: outcome.selfDelayed || ended.selfDelayed,
    },
    decision.path,
    () => ({
      schema: 'kvseam.outcome/1',
      lease: decision.lease,
      path: decision.path.id,
      code: ended.code,
      bytes: bytesOf(moved.done),
      totalUs,
      chunks: chunks.length,
      chunksDone: moved.done.length,
      attempt,
      verified: digest === null ? null : error === undefined,
    }),
  )
  return moved
}

export function bytesOf(chunks: readonly Chunk[]): number {
  let bytes = 0
  for (const chunk of chunks) bytes += chunk.bytes
  return bytes
}

/** After a failure: whether trying again makes sense, and the memory is quiet, so that the old way can't write there any more. */
async function mayGoOn(request: MoveRequest, { untilMs }: Journey, { error, quiesced }: Moved): Promise<boolean> {
  if (!SeamError.is(error) || !error.retryable || request.signal?.aborted === true) return false
  if (error.blame !== 'path' && error.blame !== 'peer') return false
  const patience = Math.min(FENCE_MS, untilMs - performance.now())
  if (patience <= 0) return false
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(resolve, patience, false)
  })
  const quiet = await Promise.race([quiesced.then(() => true), late])
  clearTimeout(timer)
  return quiet
}
