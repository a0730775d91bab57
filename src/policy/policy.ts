// The one interface every policy profile implements; the orchestrator knows nothing else about a profile.
// A policy owns no clock and does no I/O: every call carries the time, so a recorded stream replays to the same bytes.

import type { WorkloadProfile } from './workload.js'

/** States of a path, in the published spelling; `unknown` exists only in profiles that age their evidence. */
export type PathState =
  | 'unknown'
  | 'healthy'
  | 'degraded_usable'
  | 'degraded_restricted'
  | 'quarantine_candidate'
  | 'quarantined'
  | 'restored'

/** What a policy must know of a path before it can judge it. `id` is unique; registration order breaks ties. */
export interface PathDescription {
  readonly id: string
  /** Group of decode agents that can serve the same request. */
  readonly pool: string
  /** Sessions the path may carry at once; 0 takes the profile's default. */
  readonly maxSessions: number
  /** Share of maxSessions (0..1] above which the path counts as soft-full; 0 takes the profile's default. */
  readonly softCapacityFraction: number
  /** Named shared elements whose failure takes the path with it, e.g. `nic:efa0`. */
  readonly riskGroups: readonly string[]
}

/** How one transfer or probe ended, as the policy charges it (design: blame decides, not the error text). */
export type SampleOutcome = 'ok' | 'timeout' | 'transport' | 'corrupt' | 'remote_busy' | 'local' | 'cancelled'

export interface Sample {
  /** Index that `addPath` returned. */
  readonly path: number
  readonly outcome: SampleOutcome
  /** Submit to settled, microseconds. */
  readonly totalUs: number
  readonly bytes: number
  /** Share of the bytes that did not arrive, 0..1. */
  readonly dropFraction: number
  readonly source: 'transfer' | 'probe'
  /** The process itself was stalled while this was measured; it must not hurt the path. */
  readonly selfDelayed: boolean
}

export interface PolicyRequest {
  readonly requestId: string | null
  readonly workload: WorkloadProfile
  readonly bytes: number
  /** Absolute, same clock as `nowUs`; null when the caller set none. */
  readonly deadlineUs: number | null
  /** Path indices in registration order. */
  readonly candidates: readonly number[]
  /** How long the granted session may be held before it expires, microseconds. */
  readonly leaseUs: number
}

/** A change of a path's state with the numbers that caused it (schema `kvseam.transition/1`). */
export interface Transition {
  readonly path: number
  readonly from: PathState
  readonly to: PathState
  readonly cause: string
  readonly figures: Readonly<Record<string, number>>
}

export interface PathSnapshot {
  readonly id: string
  readonly pool: string
  readonly state: PathState
  readonly gfs: number
  readonly p99Ms: number
  readonly jitterMs: number
  readonly dropFraction: number
  readonly samples: number
  readonly activeSessions: number
  readonly maxSessions: number
}

/** One candidate as a decision saw it, before it took a session. Plain data for the record. */
export interface CandidateRecord {
  readonly path: string
  readonly pool: string
  readonly state: PathState
  readonly admissible: boolean
  /** Stable code of the first failing rule or of the admission. */
  readonly outcome: string
  /** The same in words with the numbers. */
  readonly reason: string
  readonly gfs: number
  readonly prs: number
  readonly fae: number
  readonly p99Ms: number
  readonly jitterMs: number
  readonly dropFraction: number
  readonly activeSessions: number
  readonly maxSessions: number
  readonly availableAlternates: number
  /** Ranking vector, smaller first; null when not admissible. */
  readonly rank: readonly number[] | null
  readonly chosen: boolean
}

/** The part of a decision record that the policy knows; the orchestrator adds sequence, epoch, node and hash. */
export interface DecisionDetail {
  readonly outcome: string
  readonly reason: string
  readonly selectionPolicy: string
  readonly chosen: string | null
  readonly candidates: readonly CandidateRecord[]
}

export interface PolicyDecision {
  readonly admitted: boolean
  /** Published outcome code, e.g. `rerouted_to_alternate`, `no_admissible_pool`. */
  readonly outcome: string
  /** Index of the chosen path, -1 when none. */
  readonly path: number
  /** Session lease, 0 when none was granted. Unique within the policy object. */
  readonly leaseId: number
  /** The explanation, frozen at decision time; built on first call so that a hot path does not pay for it. */
  detail(): DecisionDetail
}

export interface Policy {
  readonly profile: string
  /** Registers a path and returns its index. Throws KVSEAM_INVALID_ARGUMENT for a duplicate id or bad capacity. */
  addPath(path: PathDescription, nowUs: number): number
  /** Feeds one measured outcome; returns the transition it caused, if any. */
  observe(sample: Sample, nowUs: number): Transition | null
  /** Judges one request and, when admitted, takes one session of the chosen path under a lease. */
  decide(request: PolicyRequest, nowUs: number): PolicyDecision
  /** Judges without taking anything: what `decide` would say now. */
  explain(request: PolicyRequest, nowUs: number): PolicyDecision
  /** Gives a session back. False when the lease is unknown, already released or expired; never throws. */
  release(leaseId: number, nowUs: number): boolean
  /** Expires leases; returns the ids that expired. */
  tick(nowUs: number): readonly number[]
  snapshot(path: number): PathSnapshot
}
