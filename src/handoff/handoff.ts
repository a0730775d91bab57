// The whole act for one request: admit, move, verify, release. The session goes back only when the memory is quiet.

import { object, refuse, spanNs, wholeNumber } from '../check.js'
import { SeamError } from '../errors.js'
import { Descriptors } from '../native/descriptors.js'
import type { Transfer, TransferOutcome } from '../native/transfer.js'
import type { Admitted, DecideRequest, Orchestrator } from '../orchestrator.js'
import { Path } from '../paths.js'
import { claimPermit, permitNumber } from '../permit.js'
import type { SampleOutcome } from '../policy/policy.js'
import type { DecisionRecord } from '../record/decision-record.js'

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
  readonly path: Path
  readonly bytes: number
  readonly outcome: TransferOutcome
  /** Native time from submit to arrived, milliseconds. */
  readonly ms: number
  /** True when both digests were compared and agree. */
  readonly verified: boolean
  readonly digest: number | null
  /** Resolves when nothing can touch the memory any more; the lease is given back then. */
  readonly quiesced: Promise<void>
}

export interface HandoffRequest extends Omit<MoveRequest, 'to'> {
  readonly to: Descriptors
  readonly workload: DecideRequest['workload']
  readonly requestId?: string
  readonly exclude?: readonly string[]
}

export interface HandoffResult extends MoveResult {
  readonly decision: DecisionRecord
}

/** Moves the bytes of an admitted decision. Observes the outcome, gives the lease back, whatever happens. */
export async function move(
  orchestrator: Orchestrator,
  decision: Admitted,
  request: MoveRequest,
  defaultDeadlineMs: number,
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
  const { path } = decision
  let transfer: Transfer
  let sourceDigest: number | null
  try {
    request.signal?.throwIfAborted()
    spanNs('deadlineMs', request.deadlineMs ?? defaultDeadlineMs)
    checkSides(path, request)
    sourceDigest = await digestOfSource(request)
    request.signal?.throwIfAborted()
    const pull = path.mode === 'pull'
    transfer = path.agent.post({
      permit: permitNumber(decision.permit),
      path: path.nativeIndex,
      operation: path.operation,
      local: pull ? request.to : request.from,
      remote: pull ? request.from : request.to,
      timeoutMs: request.deadlineMs ?? defaultDeadlineMs,
      notify: request.notify,
    })
  } catch (error) {
    orchestrator.abandon(decision)
    request.onQuiesced?.()
    throw error
  }
  const quiesced = transfer.quiesced.then(() => {
    orchestrator.releaseQuietly(decision.lease)
    request.onQuiesced?.()
  })
  const abort = (): void => transfer.cancel()
  request.signal?.addEventListener('abort', abort, { once: true })
  let outcome: TransferOutcome
  try {
    outcome = await transfer.settled
  } catch (error) {
    observeFailure(orchestrator, path, request.from.bytes, error)
    if (request.signal?.aborted === true && SeamError.is(error, 'KVSEAM_CANCELLED')) throw request.signal.reason
    throw error
  } finally {
    request.signal?.removeEventListener('abort', abort)
  }
  const digest = sourceDigest === null ? null : await compareDigest(orchestrator, path, request, sourceDigest, outcome)
  orchestrator.observeQuietly({
    path: path.id,
    outcome: 'ok',
    totalUs: outcome.totalNs / 1e3,
    bytes: outcome.bytes,
    selfDelayed: outcome.selfDelayed,
  })
  return { path, bytes: outcome.bytes, outcome, ms: outcome.totalNs / 1e6, verified: digest !== null, digest, quiesced }
}

/** Decides and moves. @throws KVSEAM_NOT_ADMISSIBLE with the decision record when the policy says no */
export async function handoff(
  orchestrator: Orchestrator,
  request: HandoffRequest,
  defaultDeadlineMs: number,
): Promise<HandoffResult> {
  checkRequest(request)
  const decision = orchestrator.decide({
    workload: request.workload,
    bytes: request.from.bytes,
    from: request.from.owner,
    to: [request.to.owner],
    ...(request.deadlineMs === undefined ? {} : { deadlineMs: request.deadlineMs }),
    ...(request.requestId === undefined ? {} : { requestId: request.requestId }),
    ...(request.exclude === undefined ? {} : { exclude: request.exclude }),
  })
  if (decision.outcome === 'rejected') {
    request.onQuiesced?.()
    const { record } = decision
    throw new SeamError(
      'KVSEAM_NOT_ADMISSIBLE',
      { decision: record, workload: record.req.class },
      `no path may carry this ${record.req.class} transfer now: ${record.candidates
        .map((candidate) => `${candidate.path}: ${candidate.reason}`)
        .join('; ')}`,
      { blame: 'pool' },
    )
  }
  const result = await move(orchestrator, decision, request, defaultDeadlineMs)
  return Object.defineProperty(result as MoveResult & { decision: DecisionRecord }, 'decision', {
    get: () => decision.record,
    enumerable: true,
  })
}

function checkDecision(decision: Admitted): void {
  object('decision', decision, 'pass what policy.decide() answered')
  if (decision.outcome !== 'admitted' || !(decision.path instanceof Path)) {
    throw refuse(
      'KVSEAM_INVALID_ARGUMENT',
      'decision.outcome',
      decision.outcome,
      'only an admitted decision moves bytes',
    )
  }
}

/** What is wrong whatever the decision; checked before anything is taken. */
function checkRequest(request: MoveRequest): void {
  object('request', request, 'it must be an object with from and to')
  for (const side of ['from', 'to'] as const) {
    if (request[side] instanceof Descriptors) continue
    throw refuse(
      'KVSEAM_INVALID_ARGUMENT',
      side,
      request[side],
      'it must be a descriptor list, e.g. region.blocks(...)',
    )
  }
  const { signal, verify = 'auto', sourceDigest } = request
  if (signal !== undefined && typeof signal?.throwIfAborted !== 'function') {
    throw refuse('KVSEAM_INVALID_ARGUMENT', 'signal', signal, 'it must be an AbortSignal')
  }
  if (verify !== 'auto' && verify !== 'off' && verify !== 'always') {
    throw refuse('KVSEAM_INVALID_ARGUMENT', 'verify', verify, "it is 'auto', 'off' or 'always'")
  }
  if (sourceDigest !== undefined) wholeNumber('sourceDigest', sourceDigest, 0, 2 ** 32 - 1)
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
  if (request.from.count !== request.to.count || request.from.bytes !== request.to.bytes) {
    throw new SeamError(
      'KVSEAM_INVALID_DESCRIPTOR',
      { from: [request.from.count, request.from.bytes], to: [request.to.count, request.to.bytes] },
      `from has ${request.from.count} descriptors of ${request.from.bytes} bytes and to has ${request.to.count} of ${request.to.bytes}; they must match one by one`,
    )
  }
}

async function digestOfSource(request: MoveRequest): Promise<number | null> {
  const mode = request.verify ?? 'auto'
  if (mode === 'off') return null
  const destinationHere = request.to.side.peer === undefined
  if (destinationHere && request.sourceDigest !== undefined) return request.sourceDigest
  if (destinationHere && request.from.side.peer === undefined) return await request.from.digest()
  if (mode === 'auto') return null
  throw refuse(
    'KVSEAM_INVALID_ARGUMENT',
    'verify',
    mode,
    destinationHere
      ? 'the source is in another process, so pass its digest as `sourceDigest`'
      : 'the destination is in another process, so its owner has to verify; send the digest along with `notify`',
  )
}

async function compareDigest(
  orchestrator: Orchestrator,
  path: Path,
  request: MoveRequest,
  expected: number,
  outcome: TransferOutcome,
): Promise<number> {
  const found = await request.to.digest()
  if (found === expected) return found
  orchestrator.observeQuietly({
    path: path.id,
    outcome: 'corrupt',
    totalUs: outcome.totalNs / 1e3,
    bytes: outcome.bytes,
  })
  throw new SeamError(
    'KVSEAM_INTEGRITY',
    { path: path.id, expected, found, bytes: outcome.bytes },
    `the ${outcome.bytes} bytes that arrived over ${path.id} are not those that were sent (CRC-32C ${found} instead of ${expected}); do not decode from them`,
  )
}

const OUTCOME_OF_BLAME = {
  none: 'transport',
  path: 'transport',
  peer: 'remote_busy',
  pool: 'remote_busy',
  local: 'local',
  protocol: 'local',
  cancelled: 'cancelled',
} as const satisfies Record<string, SampleOutcome>

function observeFailure(orchestrator: Orchestrator, path: Path, bytes: number, error: unknown): void {
  if (!SeamError.is(error)) return
  const totalNs = error.facts['totalNs']
  orchestrator.observeQuietly({
    path: path.id,
    outcome: error.code === 'KVSEAM_TIMEOUT' && error.blame === 'path' ? 'timeout' : OUTCOME_OF_BLAME[error.blame],
    totalUs: typeof totalNs === 'number' ? totalNs / 1e3 : 0,
    bytes,
    selfDelayed: error.facts['selfDelayed'] === true,
  })
}
