// Moves the bytes of one admitted decision over its path, in chunks when there are many: what a broken path costs is then a
// chunk, not the whole. Each chunk is a transfer with a permit of its own under the decision's one lease.

import type { Admitted } from '../decision.js'
import { SeamError } from '../errors.js'
import type { Descriptors } from '../native/descriptors.js'
import type { Transfer, TransferOutcome } from '../native/transfer.js'
import type { Orchestrator } from '../orchestrator.js'
import { type Permit, permitNumber } from '../permit.js'

export interface Chunk {
  readonly first: number
  readonly count: number
  readonly bytes: number
}

export interface Cargo {
  readonly from: Descriptors
  readonly to: Descriptors
  readonly chunks: readonly Chunk[]
  /** Given to the peer with the last chunk, after all others have arrived. */
  readonly notify: Uint8Array | undefined
  /** Absolute, on performance.now(). */
  readonly deadlineMs: number
  readonly signal: AbortSignal | undefined
}

export interface Moved {
  /** Of all chunks together: bytes and flags added up, times from the first submit to the last arrival. */
  readonly outcome: TransferOutcome
  readonly done: readonly Chunk[]
  readonly left: readonly Chunk[]
  /** Undefined when everything arrived; else what the first chunk that failed said. */
  error: unknown
  /** Resolves when nothing can touch the memory of any of them. */
  quiesced: Promise<void>
}

/** Chunks in flight at once: enough that the next one waits in the transport while JavaScript hears of the last. */
const WINDOW = 4

const NONE: readonly Chunk[] = Object.freeze([])
const NOTHING: TransferOutcome = Object.freeze({ bytes: 0, postNs: 0, wireNs: 0, totalNs: 0, selfDelayed: false })

/** Never rejects: how it went is in the answer. The lease is the caller's to give back. */
export function moveCargo(orchestrator: Orchestrator, decision: Admitted, cargo: Cargo): Promise<Moved> {
  return cargo.chunks.length === 1
    ? moveWhole(orchestrator, decision, cargo)
    : moveChunks(orchestrator, decision, cargo)
}

/** The common case, and the hot one. */
async function moveWhole(orchestrator: Orchestrator, decision: Admitted, cargo: Cargo): Promise<Moved> {
  const { chunks, signal } = cargo
  let transfer: Transfer
  try {
    signal?.throwIfAborted()
    transfer = post(decision, cargo, chunks[0]!, decision.permit)
  } catch (error) {
    orchestrator.revoke(decision.permit)
    return { outcome: NOTHING, done: NONE, left: chunks, error, quiesced: Promise.resolve() }
  }
  const abort = signal === undefined ? undefined : cancelOnAbort(signal, transfer)
  try {
    const outcome = await transfer.settled
    return { outcome, done: chunks, left: NONE, error: undefined, quiesced: transfer.quiesced }
  } catch (error) {
    return { outcome: NOTHING, done: NONE, left: chunks, error, quiesced: transfer.quiesced }
  } finally {
    if (abort !== undefined) signal?.removeEventListener('abort', abort)
  }
}

function cancelOnAbort(signal: AbortSignal, transfer: Transfer): () => void {
  const abort = (): void => transfer.cancel()
  signal.addEventListener('abort', abort, { once: true })
  return abort
}

async function moveChunks(orchestrator: Orchestrator, decision: Admitted, cargo: Cargo): Promise<Moved> {
  const { chunks } = cargo
  const quiet: Promise<void>[] = []
  const done: Chunk[] = []
  const left: Chunk[] = []
  const sum = { bytes: 0, postNs: 0, wireNs: 0, totalNs: 0, selfDelayed: false }
  const inFlight = new Set<Transfer>()
  const startMs = performance.now()
  let error: unknown
  let next = 0

  const cancel = (): void => {
    for (const transfer of inFlight) transfer.cancel()
  }
  const fail = (cause: unknown): void => {
    if (error !== undefined) return
    error = cause
    cancel()
  }
  const fly = async (chunk: Chunk, permitOf: () => Permit): Promise<void> => {
    const postedMs = performance.now()
    let permit: Permit | undefined
    let transfer: Transfer
    try {
      permit = permitOf()
      transfer = post(decision, cargo, chunk, permit)
    } catch (cause) {
      if (permit !== undefined) orchestrator.revoke(permit)
      left.push(chunk)
      fail(cause)
      return
    }
    inFlight.add(transfer)
    quiet.push(transfer.quiesced)
    try {
      const outcome = await transfer.settled
      done.push(chunk)
      sum.bytes += outcome.bytes
      sum.postNs = Math.max(sum.postNs, outcome.postNs)
      sum.wireNs = Math.max(sum.wireNs, (postedMs - startMs) * 1e6 + outcome.wireNs)
      sum.totalNs = Math.max(sum.totalNs, (postedMs - startMs) * 1e6 + outcome.totalNs)
      sum.selfDelayed ||= outcome.selfDelayed
    } catch (cause) {
      left.push(chunk)
      fail(cause)
    } finally {
      inFlight.delete(transfer)
    }
  }
  const lane = async (until: number): Promise<void> => {
    while (next < until && error === undefined) {
      const chunk = chunks[next++]!
      await fly(chunk, () => orchestrator.partPermit(decision, chunk.bytes))
    }
  }

  orchestrator.revoke(decision.permit)
  cargo.signal?.addEventListener('abort', cancel, { once: true })
  if (cargo.signal?.aborted === true) fail(cargo.signal.reason)
  // A notification must not overtake the bytes, and chunks arrive in any order: its chunk goes alone, and last.
  const together = cargo.notify === undefined ? chunks.length : chunks.length - 1
  await Promise.all(Array.from({ length: Math.min(WINDOW, together) }, () => lane(together)))
  await lane(chunks.length)
  cargo.signal?.removeEventListener('abort', cancel)
  left.push(...chunks.slice(next))
  left.sort((a, b) => a.first - b.first)
  return { outcome: sum, done, left, error, quiesced: Promise.all(quiet).then(() => {}) }
}

function post(decision: Admitted, cargo: Cargo, chunk: Chunk, permit: Permit): Transfer {
  const { path } = decision
  const timeoutMs = cargo.deadlineMs - performance.now()
  if (timeoutMs <= 0) {
    throw new SeamError(
      'KVSEAM_TIMEOUT',
      { path: path.id, first: chunk.first, count: chunk.count },
      'the deadline passed before this part of the blocks could be posted; do not use the destination',
      { blame: 'local' },
    )
  }
  const pull = path.mode === 'pull'
  const isLast = chunk === cargo.chunks.at(-1)
  return path.agent.post({
    permit: permitNumber(permit),
    path: path.nativeIndex,
    operation: path.operation,
    local: pull ? cargo.to : cargo.from,
    remote: pull ? cargo.from : cargo.to,
    first: chunk.first,
    count: chunk.count,
    timeoutMs,
    notify: isLast ? cargo.notify : undefined,
  })
}
