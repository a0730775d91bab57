// Gets a handoff its admitted decision, waiting in line where the policy says that this will do.

import { SeamError } from '../errors.js'
import type { Admitted, Decision, Orchestrator, Rejected } from '../orchestrator.js'
import type { DecisionRecord } from '../record/decision-record.js'
import type { HandoffRequest } from './handoff.js'
import type { Chunk } from './move.js'

interface Asked extends HandoffRequest {
  readonly exclude: readonly string[]
  readonly attempt: number
  readonly chunks: readonly Chunk[]
  readonly untilMs: number
}

/** @throws KVSEAM_NOT_ADMISSIBLE with the record; the signal's reason when it was aborted while waiting */
export async function admission(orchestrator: Orchestrator, asked: Asked): Promise<Admitted> {
  const { from, to, signal } = asked
  const decision: Decision = orchestrator.decide({
    workload: asked.workload,
    bytes: asked.chunks.reduce((sum, chunk) => sum + chunk.bytes, 0),
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
  if (decision.outcome !== 'queued') throw notAdmissible(decision)
  const leave = (): void => decision.withdraw()
  signal?.addEventListener('abort', leave, { once: true })
  try {
    const answer = await decision.answer
    if (answer.outcome !== 'admitted') {
      signal?.throwIfAborted()
      throw notAdmissible(answer)
    }
    if (signal?.aborted === true) {
      orchestrator.abandon(answer)
      throw signal.reason
    }
    return answer
  } finally {
    signal?.removeEventListener('abort', leave)
  }
}

/**
 * Until when a path may keep a transfer to itself while another could still take over: half of the time that is left, but never
 * less than thrice what the policy predicts. A profile that predicts nothing leaves it all the time.
 * @returns milliseconds on performance.now()
 */
export function patienceMs(record: DecisionRecord, untilMs: number): number {
  const predictedUs = record.candidates.find((candidate) => candidate.chosen)?.model?.predictedUs.at(-1)
  if (predictedUs === undefined || record.candidates.length < 2) return untilMs
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
