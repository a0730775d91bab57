// Gets a handoff its admitted decision, waiting in line where the policy says that this will do.

import type { Admitted, Decision, Queued, Rejected } from '../decision.js'
import { SeamError } from '../errors.js'
import type { Orchestrator } from '../orchestrator.js'
import type { HandoffRequest } from './handoff.js'

interface Asked extends HandoffRequest {
  readonly exclude: readonly string[]
  readonly attempt: number
  /** Still to move. */
  readonly bytes: number
  /** Absolute, on performance.now(). */
  readonly untilMs: number
}

/** At once where that is possible. @throws KVSEAM_NOT_ADMISSIBLE with the record */
export function admission(orchestrator: Orchestrator, asked: Asked): Admitted | Promise<Admitted> {
  const { from, to } = asked
  const decision: Decision = orchestrator.decide({
    workload: asked.workload,
    bytes: asked.bytes,
    from: from.owner,
    to: [to.owner],
    deadlineMs: Math.max(0.001, asked.untilMs - performance.now()),
    exclude: asked.exclude,
    attempt: asked.attempt,
    queue: asked.queue ?? true,
    ...(asked.requestId === undefined ? {} : { requestId: asked.requestId }),
    ...(asked.recomputeMs === undefined ? {} : { recomputeMs: asked.recomputeMs }),
  })
  if (decision.outcome === 'admitted') return decision
  if (decision.outcome === 'queued') return inLine(orchestrator, decision, asked.signal)
  throw notAdmissible(decision)
}

/** @throws as admission(); the signal's reason when it was aborted while waiting */
async function inLine(orchestrator: Orchestrator, queued: Queued, signal: AbortSignal | undefined): Promise<Admitted> {
  const leave = (): void => queued.withdraw()
  signal?.addEventListener('abort', leave, { once: true })
  try {
    const answer = await queued.answer
    if (signal?.aborted === true) {
      if (answer.outcome === 'admitted') orchestrator.abandon(answer)
      throw signal.reason
    }
    if (answer.outcome === 'admitted') return answer
    throw notAdmissible(answer)
  } finally {
    signal?.removeEventListener('abort', leave)
  }
}

/**
 * Until when a path may keep a transfer to itself while another could still take over: half of the time that is left, but never
 * less than thrice what the policy predicts. A profile that predicts nothing leaves it all the time.
 * @returns milliseconds on performance.now()
 */
export function patienceMs({ predictedUs }: Admitted, untilMs: number): number {
  if (predictedUs === null) return untilMs
  const nowMs = performance.now()
  return Math.min(untilMs, nowMs + Math.max((untilMs - nowMs) / 2, (3 * predictedUs) / 1000))
}

function notAdmissible({ outcome, record }: Rejected): SeamError {
  const { class: workload } = record.req
  const reasons = record.candidates.map((candidate) => `${candidate.path}: ${candidate.reason}`).join('; ')
  const text =
    outcome === 'recompute_locally'
      ? `computing the blocks again at the destination is faster for this ${workload} transfer`
      : `no path may carry this ${workload} transfer now`
  return new SeamError(
    'KVSEAM_NOT_ADMISSIBLE',
    {
      decision: record,
      workload,
      outcome,
      retryAfterMs: record.retryAfterUs === null ? null : record.retryAfterUs / 1000,
    },
    `${text}: ${reasons}`,
    { blame: 'pool' },
  )
}
