// How an ended transfer is charged: the error's blame decides, never its text.

import { SeamError } from '../errors.js'
import type { SampleOutcome } from '../policy/policy.js'

const OUTCOME_OF_BLAME = {
  none: 'transport',
  path: 'transport',
  peer: 'remote_busy',
  pool: 'remote_busy',
  local: 'local',
  protocol: 'local',
  cancelled: 'cancelled',
} as const satisfies Record<string, SampleOutcome>

export interface Ended {
  readonly outcome: SampleOutcome
  readonly code: string
  readonly totalUs: number
  readonly selfDelayed: boolean
}

/** @param error undefined for success */
export function outcomeOf(error: unknown): Ended {
  if (error === undefined) return { outcome: 'ok', code: 'KVSEAM_OK', totalUs: 0, selfDelayed: false }
  if (!SeamError.is(error)) return { outcome: 'cancelled', code: 'ABORTED', totalUs: 0, selfDelayed: false }
  const { totalNs, selfDelayed } = error.facts
  return {
    outcome: sampleOutcome(error),
    code: error.code,
    totalUs: typeof totalNs === 'number' ? totalNs / 1e3 : 0,
    selfDelayed: selfDelayed === true,
  }
}

function sampleOutcome(error: SeamError): SampleOutcome {
  if (error.code === 'KVSEAM_INTEGRITY') return 'corrupt'
  // The peer is gone, and with it the path: no evidence about it is worth anything until it has proved itself again.
  if (error.code === 'KVSEAM_PEER_DOWN') return 'link_down'
  if (error.code === 'KVSEAM_TIMEOUT' && error.blame === 'path') return 'timeout'
  return OUTCOME_OF_BLAME[error.blame]
}

/** What the caller gets: its own reason when it aborted, else what happened. */
export function wasAborted(signal: AbortSignal | undefined, error: unknown): unknown {
  return signal?.aborted === true && (SeamError.is(error, 'KVSEAM_CANCELLED') || error === signal.reason)
    ? signal.reason
    : error
}
