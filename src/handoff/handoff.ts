// The whole act for one request: admit, move, verify, release; and when a path breaks on the way, decide again for what is left.
// The session goes back, and other paths may write the same blocks, only when the memory is quiet.

import { refuse, spanNs, wholeNumber } from '../check.js'
import type { DecideRequest } from '../decide-request.js'
import { SeamError } from '../errors.js'
import type { Descriptors } from '../native/descriptors.js'
import type { TransferOutcome } from '../native/transfer.js'
import type { Admitted, Orchestrator } from '../orchestrator.js'
import type { Path } from '../paths.js'
import type { DecisionRecord } from '../record/decision-record.js'
import { admission, patienceMs } from './admission.js'
import { type Chunk, type Moved, moveCargo } from './move.js'
import { outcomeOf, wasAborted } from './outcome.js'
import { compareDigest, sourceDigest } from './verification.js'

export interface MoveRequest {
  readonly from: Descriptors
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
  const { onQuiesced } = request
  let journey: Journey
  try {
    journey = await departure(request, defaults)
    checkSides(decision.path, request)
  } catch (error) {
    orchestrator.abandon(decision)
    onQuiesced?.()
    throw error
  }
  const leg = await travel(orchestrator, decision, journey, 0, journey.untilMs)
  void leg.quiesced.then(onQuiesced)
  if (leg.error !== undefined) throw wasAborted(request.signal, leg.error)
  return arrival(decision.path, request, journey, leg, [])
}

/** Decides and moves. @throws KVSEAM_NOT_ADMISSIBLE with the decision record when the policy says no */
export async function handoff(
  orchestrator: Orchestrator,
  request: HandoffRequest,
  defaults: MoveDefaults,
): Promise<HandoffResult> {
  const { onQuiesced } = request
  const quiet: Promise<void>[] = []
  const failedOver: string[] = []
  try {
    const failovers = wholeNumber('failovers', request.failovers ?? 2, 0, MOST_FAILOVERS)
    const journey = await departure(request, defaults)
    for (let attempt = 0; ; attempt++) {
      const exclude = [...(request.exclude ?? []), ...failedOver]
      const asked = { ...request, exclude, attempt, chunks: journey.chunks, untilMs: journey.untilMs }
      const decision = await admission(orchestrator, asked)
      const untilMs = attempt < failovers ? patienceMs(decision.record, journey.untilMs) : journey.untilMs
      const leg = await travel(orchestrator, decision, journey, attempt, untilMs)
      quiet.push(leg.quiesced)
      if (leg.error === undefined) {
        const result = arrival(decision.path, request, journey, leg, failedOver)
        return Object.defineProperty(result as HandoffResult, 'decision', {
          get: () => decision.record,
          enumerable: true,
        })
      }
      const lasting = { error: leg.error, exclude: [...exclude, decision.path.id] }
      if (attempt >= failovers || !(await mayGoOn(orchestrator, request, journey, leg, lasting.exclude))) {
        throw wasAborted(request.signal, leg.error)
      }
      failedOver.push(decision.path.id)
      journey.chunks = leg.left
    }
  } finally {
    void Promise.all(quiet).then(onQuiesced)
  }
}

interface Journey {
  readonly request: MoveRequest
  /** Still to move. */
  chunks: readonly Chunk[]
  /** Absolute, on performance.now(). */
  readonly untilMs: number
  readonly digest: number | null
}

async function departure(request: MoveRequest, defaults: MoveDefaults): Promise<Journey> {
  const startMs = performance.now()
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
  const digest = await sourceDigest(request)
  request.signal?.throwIfAborted()
  return { request, chunks: from.cut(defaults.chunkBytes), untilMs: startMs + deadlineMs, digest }
}

/** One decision's part of the way. */
async function travel(
  orchestrator: Orchestrator,
  decision: Admitted,
  journey: Journey,
  attempt: number,
  untilMs: number,
): Promise<Moved> {
  const { request, chunks, digest } = journey
  orchestrator.started(decision)
  const moved = await moveCargo(orchestrator, decision, {
    from: request.from,
    to: request.to,
    chunks,
    notify: request.notify,
    deadlineMs: untilMs,
    signal: request.signal,
  })
  const quiesced = moved.quiesced.then(() => orchestrator.releaseQuietly(decision.lease))
  let { error } = moved
  if (error === undefined && digest !== null) {
    error = await compareDigest(request.to, digest, decision.path.id).then(
      () => undefined,
      (cause: unknown) => cause,
    )
  }
  const ended = outcomeOf(error)
  const bytes = moved.done.reduce((sum, chunk) => sum + chunk.bytes, 0)
  const totalUs = error === undefined ? moved.outcome.totalNs / 1e3 : ended.totalUs
  orchestrator.observeQuietly({
    path: decision.path.id,
    lease: decision.lease,
    outcome: ended.outcome,
    totalUs,
    bytes: error === undefined ? bytes : chunks.reduce((sum, chunk) => sum + chunk.bytes, 0),
    selfDelayed: moved.outcome.selfDelayed || ended.selfDelayed,
  })
  orchestrator.note({
    lease: decision.lease,
    path: decision.path.id,
    code: ended.code,
    bytes,
    totalUs,
    chunks: chunks.length,
    chunksDone: moved.done.length,
    attempt,
    verified: digest === null ? null : error === undefined,
  })
  return { ...moved, error, quiesced }
}

/** After a failure: is there another way, and is the memory quiet, so that the old way can't write there any more? */
async function mayGoOn(
  orchestrator: Orchestrator,
  request: HandoffRequest,
  { untilMs }: Journey,
  { error, quiesced }: Moved,
  exclude: readonly string[],
): Promise<boolean> {
  if (!SeamError.is(error) || !error.retryable || request.signal?.aborted === true) return false
  if (error.blame !== 'path' && error.blame !== 'peer') return false
  if (!orchestrator.leads(request.from.owner, request.to.owner, exclude)) return false
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

function arrival(
  path: Path,
  request: MoveRequest,
  journey: Journey,
  moved: Moved,
  failedOver: readonly string[],
): MoveResult {
  const { outcome } = moved
  return {
    path,
    bytes: request.from.bytes,
    outcome,
    ms: outcome.totalNs / 1e6,
    verified: journey.digest !== null,
    digest: journey.digest,
    failedOver,
    quiesced: moved.quiesced,
  }
}

function checkSides(path: Path, request: MoveRequest): void {
  if (request.from.owner !== path.from) {
    throw refuse(
      'KVSEAM_FOREIGN_REGION',
      'from',
      request.from.owner,
      `the admitted path ${path.id} starts at '${path.from}'`,
    )
  }
  if (request.to.owner !== path.to) {
    throw refuse('KVSEAM_FOREIGN_REGION', 'to', request.to.owner, `the admitted path ${path.id} ends at '${path.to}'`)
  }
}
