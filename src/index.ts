// The public names, nothing else.

export { type Blame, SEAM_ERROR_CODES, SeamError, type SeamErrorCode, type SeamErrorFacts } from './errors.js'
export type { ArmedFaults, FaultReport, Firing, RuleReport } from './faults/armed-faults.js'
export type { FaultCheck, Faults } from './faults/faults.js'
export type { HandoffRequest, HandoffResult, MoveRequest, MoveResult } from './handoff/handoff.js'
export type { Agent, AgentOptions, Notification, RailOptions } from './native/agent.js'
export type { BackendLoad } from './native/binding.js'
export { type BlockLayout, Descriptors } from './native/descriptors.js'
export type { LatencySnapshot } from './native/latency.js'
export type { Peer } from './native/peer.js'
export type { Region } from './native/region.js'
export type { RemoteRegion } from './native/remote-region.js'
export type { Transfer, TransferOutcome } from './native/transfer.js'
export type { Admitted, DecideRequest, Decision, Observation, Orchestrator, Rejected } from './orchestrator.js'
export type { Path, PathTable } from './paths.js'
export type { Permit } from './permit.js'
export type { PathSnapshot, PathState } from './policy/policy.js'
export { WORKLOADS, type WorkloadProfile } from './policy/workload.js'
export type { DecisionRecord, TransitionRecord } from './record/decision-record.js'
export {
  type BackendInfo,
  type ConnectOptions,
  openSeam,
  type Seam,
  type SeamLogger,
  type SeamOptions,
} from './seam.js'

/** Bytes in a kibibyte, mebibyte, gibibyte. */
export const KiB = 1024
export const MiB = 1024 * KiB
export const GiB = 1024 * MiB
