// The one interface every policy profile implements; the orchestrator and the simulator know nothing else about a profile.
// A policy owns no clock, does no I/O and draws nothing at random: every call carries the time and every request its
// sequence number, so a recorded stream replays to the same bytes.
//
// Life of one transfer: decide() -> lease -> start() when it is posted -> observe() with the lease when it settles ->
// release() when it is quiesced. tick() moves everything that happens by itself (states, leases, queue, probes); call it when
// nextTickUs() is due and after a release while something is queued.

import type { PolicySettings } from './settings.js'
import type { WorkloadProfile } from './workload.js'

/** States of a path, in the published spelling. `unknown` (no evidence, or stale) exists only in profiles that age theirs. */
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
  /** Bytes the path may have in flight at once; 0 or left out: no limit but the sessions. */
  readonly maxBytes?: number
  /** Paths of one class should perform alike (instance type, rail relation, backend); the pool unless told. */
  readonly pathClass?: string
  /** What the path can do when idle and well, if somebody knows; learned from its own samples when left out. */
  readonly nominal?: NominalRate
}

export interface NominalRate {
  /** Cost of a transfer apart from its bytes, microseconds. */
  readonly fixedUs: number
  readonly bytesPerSecond: number
}

/**
 * How one transfer or probe ended, as the policy charges it (blame decides, not the error text).
 * Charged to the path: `ok` (slow is derived, never said), `timeout`, `transport`, `corrupt`, `link_down` (the backend knows
 * that the path is gone). Charged elsewhere: `remote_busy` (pool), `expired` (the block owner's lease), `local` (this host),
 * `cancelled` (nobody), `telemetry_missing` (nobody: it moved, but no figure came back).
 */
export type SampleOutcome =
  | 'ok'
  | 'timeout'
  | 'transport'
  | 'corrupt'
  | 'link_down'
  | 'remote_busy'
  | 'expired'
  | 'local'
  | 'cancelled'
  | 'telemetry_missing'

export interface Sample {
  /** Index that `addPath` returned. */
  readonly path: number
  /** Lease of the decision the transfer ran under; 0 for a probe and for evidence from elsewhere. */
  readonly leaseId: number
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
  /** Bytes still to move: of a failed-over transfer only the rest. */
  readonly bytes: number
  /** Absolute, same clock as `nowUs`; null when the caller set none. */
  readonly deadlineUs: number | null
  /** Path indices in registration order, each once; what the caller excludes it leaves out. May be empty. */
  readonly candidates: readonly number[]
  /** How long the granted session may be held before it expires, microseconds. */
  readonly leaseUs: number
  /** 0 for the first attempt at these bytes; above it the retry budget pays. */
  readonly attempt: number
  /** What computing the bytes again at the destination would take, microseconds; null when that is no choice. */
  readonly recomputeUs: number | null
  /** The caller can wait for a grant from tick(). */
  readonly mayQueue: boolean
  /** Number of this decision in its epoch; keys the draw that breaks ties. */
  readonly seq: number
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

/** One check that a candidate failed. A number passes when it is on the right side of `limit`. */
export interface FailedCheck {
  readonly rule: string
  /** What was found and what would have been needed, same unit; both null where the rule is not about a number. */
  readonly have: number | null
  readonly limit: number | null
}

/** What a profile with a service model knows of a candidate; null in records of profiles without one. */
export interface CandidateModel {
  /** Preference level: a higher one is taken only when no lower one can serve. */
  readonly level: number
  /** Canary stage while restored, else null. */
  readonly stage: number | null
  /** Slowdown against the idle path, 50th, 90th and 99th percentile; 1 is as good as idle. */
  readonly slowdown: readonly number[]
  /** What it adds to every transfer whatever its size, microseconds; 0 while a slowdown alone explains as much. */
  readonly delayUs: number
  /** 0..1: how much fresh evidence stands behind it. */
  readonly confidence: number
  /** Age of the newest sample, microseconds; null without one. */
  readonly ageUs: number | null
  readonly inFlightBytes: number
  /** Bytes that would be served before the request. */
  readonly aheadBytes: number
  /** Predicted time of the request on this path: median and the class's quantile, microseconds. */
  readonly predictedUs: readonly number[]
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
  /** Every failing check in the fixed order of the rules; the reference profile stops at its first, which `outcome` names. */
  readonly failed: readonly FailedCheck[]
  readonly model: CandidateModel | null
}

/** A change of the input that would have changed the decision. */
export interface Flip {
  /** What the decision would have become. */
  readonly to: 'admitted' | 'rejected' | 'other_path'
  /** Path concerned: the one that would be chosen, or the one that would be lost. */
  readonly path: string
  /** What has to change, all of it at once; `field` is a rule's name or a figure of the request. */
  readonly changes: readonly { readonly field: string; readonly have: number | null; readonly need: number | null }[]
}

/** The part of a decision record that the policy knows; the orchestrator adds sequence, epoch, node and hash. */
export interface DecisionDetail {
  readonly outcome: string
  readonly reason: string
  readonly selectionPolicy: string
  readonly chosen: string | null
  readonly candidates: readonly CandidateRecord[]
  /** Smallest known changes that would flip it; empty in profiles that do not say. */
  readonly flips: readonly Flip[]
  /** States were overridden because too little admissible capacity was left. */
  readonly panic: boolean
  /** Utilisation of the healthy candidates 0..1; null in profiles that do not measure it. */
  readonly pressure: number | null
}

export type Verdict = 'admitted' | 'queued' | 'rejected' | 'recompute_locally'

export interface PolicyDecision {
  readonly verdict: Verdict
  /** Finer than the verdict, e.g. `admitted_canary`; the reference profile's are the published codes. */
  readonly outcome: string
  /** Index of the chosen path, -1 when none. */
  readonly path: number
  /** Session lease, 0 when none was granted. Unique within the policy object. */
  readonly leaseId: number
  /** Place in the queue, 0 when not queued. Unique within the policy object; comes back from tick(). */
  readonly ticket: number
  /** The class's quantile of the time predicted for the chosen path; null or left out in profiles that predict nothing. */
  readonly predictedUs?: number | null
  /** When asking again could end better, microseconds from now; null when admitted, queued, or nobody knows. */
  readonly retryAfterUs: number | null
  /** The explanation, frozen at decision time; built on first call so that a hot path does not pay for it. */
  detail(): DecisionDetail
}

/** A queued request that got its answer: `granted` ones are admitted, `abandoned` ones are not. */
export interface QueueAnswer {
  readonly ticket: number
  readonly request: PolicyRequest
  readonly decision: PolicyDecision
}

/** A measurement the policy wants; the caller runs it and answers with observe(), source `probe`, within `timeoutUs`. */
export interface ProbeDue {
  readonly path: number
  readonly bytes: number
  readonly timeoutUs: number
  readonly reason: 'unknown' | 'idle' | 'verify' | 'recover' | 'canary'
}

/** Something that concerns more than one path. */
export interface Alarm {
  readonly kind: 'group_suspect' | 'common_mode'
  /** Risk group or path class. */
  readonly subject: string
  readonly active: boolean
  readonly figures: Readonly<Record<string, number>>
}

export interface TickResult {
  readonly expiredLeases: readonly number[]
  readonly transitions: readonly Transition[]
  readonly granted: readonly QueueAnswer[]
  readonly abandoned: readonly QueueAnswer[]
  readonly probesDue: readonly ProbeDue[]
  readonly alarms: readonly Alarm[]
}

export const NOTHING_HAPPENED: TickResult = Object.freeze({
  expiredLeases: Object.freeze([]),
  transitions: Object.freeze([]),
  granted: Object.freeze([]),
  abandoned: Object.freeze([]),
  probesDue: Object.freeze([]),
  alarms: Object.freeze([]),
})

export interface Policy {
  readonly profile: string
  /** Hash of the settings in force, as the caller gave it; empty when it gave none. Stands in every record. */
  readonly configHash: string
  /** Registers a path and returns its index. Throws KVSEAM_INVALID_ARGUMENT for a duplicate id or bad capacity. */
  addPath(path: PathDescription, nowUs: number): number
  /**
   * Feeds one measured outcome; returns the transitions it caused. A sample of a lease settles that lease's transfer once; a
   * second one, or one after the lease ended, is ignored.
   */
  observe(sample: Sample, nowUs: number): readonly Transition[]
  /** Judges one request and, when admitted, takes capacity of the chosen path under a lease. */
  decide(request: PolicyRequest, nowUs: number): PolicyDecision
  /** Judges without taking or queueing anything: what `decide` would say now. */
  explain(request: PolicyRequest, nowUs: number): PolicyDecision
  /** The transfer of a lease was posted only now; without it the decision's time counts. False: unknown or settled. */
  start(leaseId: number, nowUs: number): boolean
  /** Gives the capacity back. False when the lease is unknown, already released or expired; never throws. */
  release(leaseId: number, nowUs: number): boolean
  /** Takes a queued request out. False when it is not queued (any more). */
  withdraw(ticket: number, nowUs: number): boolean
  /** Does what has become due by `nowUs`. Calling it more often changes nothing. */
  tick(nowUs: number): TickResult
  /** When tick() next has something to do; never before the last tick. */
  nextTickUs(): number
  /**
   * Operator's override: the path counts as `state` until `untilUs`, whatever its evidence says; null takes a pin away.
   * Throws KVSEAM_NOT_SUPPORTED in profiles without pins, KVSEAM_INVALID_ARGUMENT for an end that is not ahead.
   */
  pin(path: number, state: PathState | null, reason: string, untilUs: number, nowUs: number): readonly Transition[]
  /** Replaces the settings at once; evidence, leases and states stay. Settings are complete and already checked. */
  configure(settings: PolicySettings, hash: string): void
  snapshot(path: number): PathSnapshot
}
