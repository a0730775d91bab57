// The versioned explanation of one routing decision, schema `kvseam.decision/1`: names are never reused, nulls are explicit,
// unknown fields are to be ignored by readers.

import type { CandidateRecord, PolicyDecision, PolicyRequest, Transition } from '../policy/policy.js'

export const DECISION_SCHEMA = 'kvseam.decision/1'
export const TRANSITION_SCHEMA = 'kvseam.transition/1'

/** Candidates beyond this many are counted, not listed. */
const MOST_CANDIDATES = 32

export interface DecisionRecord {
  readonly schema: typeof DECISION_SCHEMA
  readonly seq: number
  /** Orchestrator's clock, microseconds; comparable only within one epoch. */
  readonly tUs: number
  readonly epoch: string
  readonly profile: string
  /** Where the paths' figures come from: `mock`, `emulated` or `real`. */
  readonly label: string
  /** Faults were being injected: the figures say how the software copes, not how the paths are. */
  readonly faulted: boolean
  readonly req: {
    readonly id: string | null
    readonly class: string
    readonly bytes: number
    readonly deadlineUs: number | null
  }
  readonly outcome: string
  readonly reason: string
  readonly selection: string
  readonly chosen: string | null
  readonly lease: number | null
  readonly candidates: readonly CandidateRecord[]
  readonly omitted: number
}

export interface TransitionRecord {
  readonly schema: typeof TRANSITION_SCHEMA
  readonly seq: number
  readonly tUs: number
  readonly epoch: string
  readonly faulted: boolean
  readonly path: string
  readonly from: string
  readonly to: string
  readonly cause: string
  readonly figures: Readonly<Record<string, number>>
}

export interface RecordContext {
  readonly seq: number
  readonly tUs: number
  readonly epoch: string
  readonly profile: string
  readonly label: string
  readonly faulted: boolean
}

export function decisionRecord(
  context: RecordContext,
  request: PolicyRequest,
  decision: PolicyDecision,
): DecisionRecord {
  const detail = decision.detail()
  const sorted = [...detail.candidates].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0))
  const chosen = sorted.findIndex((candidate) => candidate.chosen)
  // The chosen one is always listed, however many there are.
  if (chosen >= MOST_CANDIDATES) sorted.splice(MOST_CANDIDATES - 1, 0, ...sorted.splice(chosen, 1))
  return {
    schema: DECISION_SCHEMA,
    seq: context.seq,
    tUs: context.tUs,
    epoch: context.epoch,
    profile: context.profile,
    label: context.label,
    faulted: context.faulted,
    req: {
      id: request.requestId,
      class: request.workload.name,
      bytes: request.bytes,
      deadlineUs: request.deadlineUs,
    },
    outcome: detail.outcome,
    reason: detail.reason,
    selection: detail.selectionPolicy,
    chosen: detail.chosen,
    lease: decision.leaseId === 0 ? null : decision.leaseId,
    candidates: sorted.slice(0, MOST_CANDIDATES),
    omitted: Math.max(0, sorted.length - MOST_CANDIDATES),
  }
}

export function transitionRecord(context: RecordContext, path: string, transition: Transition): TransitionRecord {
  return {
    schema: TRANSITION_SCHEMA,
    seq: context.seq,
    tUs: context.tUs,
    epoch: context.epoch,
    faulted: context.faulted,
    path,
    from: transition.from,
    to: transition.to,
    cause: transition.cause,
    figures: transition.figures,
  }
}
