// The versioned explanation of one routing decision, schema `kvseam.decision/1`: names are never reused, nulls are explicit,
// unknown fields are to be ignored by readers.

import type { CandidateRecord, Flip, PolicyDecision, PolicyRequest, Transition, Verdict } from '../policy/policy.js'
import type { EventHead } from './event-records.js'

export const DECISION_SCHEMA = 'kvseam.decision/1'
export const TRANSITION_SCHEMA = 'kvseam.transition/1'

/** Candidates beyond this many are counted, not listed. */
const MOST_CANDIDATES = 32

export interface DecisionRecord extends EventHead {
  readonly schema: typeof DECISION_SCHEMA
  readonly profile: string
  /** Of the settings the decision was made under; empty for a profile without settings. */
  readonly policyHash: string
  /** Where the paths' figures come from: `mock`, `emulated` or `real`. */
  readonly label: string
  /** Faults were being injected: the figures say how the software copes, not how the paths are. */
  readonly faulted: boolean
  readonly req: {
    readonly id: string | null
    /** Terms of the class: the latest `kvseam.workload/1` of that name. */
    readonly class: string
    readonly bytes: number
    readonly deadlineUs: number | null
    /** Number of the decision in its epoch; a queued request keeps it. */
    readonly n: number
    /** Above 0 for what is left of a transfer that failed. */
    readonly attempt: number
    readonly recomputeUs: number | null
    readonly mayQueue: boolean
    readonly leaseUs: number
    /** Indices of `kvseam.path/1`, all of them, however many are listed below. */
    readonly candidates: readonly number[]
  }
  readonly verdict: Verdict
  readonly outcome: string
  readonly reason: string
  readonly selection: string
  readonly chosen: string | null
  readonly lease: number | null
  /** Place in the queue; stands in the answer's record as well. */
  readonly ticket: number | null
  readonly retryAfterUs: number | null
  readonly panic: boolean
  readonly pressure: number | null
  /** Smallest known changes that would have led elsewhere. */
  readonly flips: readonly Flip[]
  readonly candidates: readonly CandidateRecord[]
  readonly omitted: number
}

export interface TransitionRecord extends EventHead {
  readonly schema: typeof TRANSITION_SCHEMA
  readonly faulted: boolean
  readonly path: string
  readonly from: string
  readonly to: string
  readonly cause: string
  readonly figures: Readonly<Record<string, number>>
}

export function decisionRecord(
  head: EventHead,
  surroundings: { readonly label: string; readonly faulted: boolean },
  policy: { readonly profile: string; readonly configHash: string },
  request: PolicyRequest,
  decision: PolicyDecision,
  ticket = decision.ticket,
): DecisionRecord {
  const detail = decision.detail()
  const sorted = [...detail.candidates].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0))
  const chosen = sorted.findIndex((candidate) => candidate.chosen)
  // The chosen one is always listed, however many there are.
  if (chosen >= MOST_CANDIDATES) sorted.splice(MOST_CANDIDATES - 1, 0, ...sorted.splice(chosen, 1))
  return {
    schema: DECISION_SCHEMA,
    seq: head.seq,
    tUs: head.tUs,
    epoch: head.epoch,
    profile: policy.profile,
    policyHash: policy.configHash,
    label: surroundings.label,
    faulted: surroundings.faulted,
    req: {
      id: request.requestId,
      class: request.workload.name,
      bytes: request.bytes,
      deadlineUs: request.deadlineUs,
      n: request.seq,
      attempt: request.attempt,
      recomputeUs: request.recomputeUs,
      mayQueue: request.mayQueue,
      leaseUs: request.leaseUs,
      candidates: request.candidates,
    },
    verdict: decision.verdict,
    outcome: detail.outcome,
    reason: detail.reason,
    selection: detail.selectionPolicy,
    chosen: detail.chosen,
    lease: decision.leaseId === 0 ? null : decision.leaseId,
    ticket: ticket === 0 ? null : ticket,
    retryAfterUs: decision.retryAfterUs,
    panic: detail.panic,
    pressure: detail.pressure,
    flips: detail.flips,
    candidates: sorted.slice(0, MOST_CANDIDATES),
    omitted: Math.max(0, sorted.length - MOST_CANDIDATES),
  }
}

export function transitionRecord(
  head: EventHead,
  faulted: boolean,
  path: string,
  transition: Transition,
): TransitionRecord {
  return {
    schema: TRANSITION_SCHEMA,
    seq: head.seq,
    tUs: head.tUs,
    epoch: head.epoch,
    faulted,
    path,
    from: transition.from,
    to: transition.to,
    cause: transition.cause,
    figures: transition.figures,
  }
}
