// Gets a handoff its admitted decision, waiting in line where the policy says that this will do.

import type { Admitted, Decision, Queued, Rejected } from '../decision.js'
import { SeamError } from '../errors.js'
import type { Orchestrator } from '../orchestrator.js'
import { bytesOf, type HandoffRequest, type Journey } from './handoff.js'

/** At once where that is possible. @throws KVSEAM_NOT_ADMISSIBLE with the record */
export function admission(
  orchestrator: Orchestrator,
  request: HandoffRequest,
  journey: Journey,
  exclude: readonly string[],
  attempt: number,
): Admitted | Promise<Admitted> {
  const decision: Decision = orchestrator.decide({
    workload: request.workload,
    bytes: bytesOf(journey.chunks),
    from: request.from.owner,
    to: [request.to.owner],
    deadlineMs: attempt === 0 ? journey.deadlineMs : Math.max(0.001, journey.untilMs - performance.now()),
    exclude,
    attempt,
    queue: request.queue ?? true,
    requestId: request.requestId,
    recomputeMs: request.recomputeMs,
  })
  if (decision.outcome === 'admitted') return decision
  if (decision.outcome === 'queued') return inLine(orchestrator, decision, request.signal)
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
  // A request may be refused as a whole, such as a retry beyond the budget: then no candidate says why.
  const reasons = record.candidates.some((candidate) => candidate.admissible)
    ? record.reason
    : record.candidates.map((candidate) => `${candidate.path}: ${candidate.reason}`).join('; ')
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
