// What a record log holds beside decisions and transitions: every other input of the policy, and what tick() answered.
// Together they are the whole stream, so that it can be run again (src/replay/). Names are never reused, nulls are explicit.

import type { Alarm, PathDescription, PathState, ProbeDue, SampleOutcome } from '../policy/policy.js'
import type { PolicySettings } from '../policy/settings.js'
import type { WorkloadProfile } from '../policy/workload.js'
import type { ProbeRecord } from './probe-record.js'

export interface EventHead {
  /** Number of the record in its epoch, from 1; a gap means that records were lost. */
  readonly seq: number
  /** Orchestrator's clock, microseconds; comparable only within one epoch. */
  readonly tUs: number
  /** New at every start of an orchestrator. */
  readonly epoch: string
}

/** First record of an epoch, and one more after each reload. */
export interface ConfigRecord extends EventHead {
  readonly schema: 'kvseam.config/1'
  readonly profile: string
  /** Of the settings; every decision names the one it was made under. */
  readonly policyHash: string
  /** Complete; null for a profile that has none. */
  readonly settings: PolicySettings | null
}

/** Where the paths' figures come from and whether faults are injected: at the start, and whenever it changes. */
export interface SurroundingsRecord extends EventHead {
  readonly schema: 'kvseam.surroundings/1'
  readonly label: string
  readonly faulted: boolean
}

/** A class of request, before the first decision about it and again whenever its terms change. */
export interface WorkloadRecord extends EventHead {
  readonly schema: 'kvseam.workload/1'
  readonly workload: WorkloadProfile
}

export interface PathRecord extends EventHead {
  readonly schema: 'kvseam.path/1'
  /** Candidates of a request are named by it. */
  readonly index: number
  readonly path: PathDescription
}

export interface SampleRecord extends EventHead {
  readonly schema: 'kvseam.sample/1'
  readonly path: string
  readonly lease: number
  readonly outcome: SampleOutcome
  readonly totalUs: number
  readonly bytes: number
  readonly dropFraction: number
  readonly source: 'transfer' | 'probe'
  readonly selfDelayed: boolean
}

/** A lease: its transfer was posted (`start`) or is quiet (`release`); a ticket: its request wants no answer any more. */
export interface LeaseRecord extends EventHead {
  readonly schema: 'kvseam.start/1' | 'kvseam.release/1' | 'kvseam.withdraw/1'
  readonly id: number
  /** Whether the policy knew it. */
  readonly known: boolean
}

export interface PinRecord extends EventHead {
  readonly schema: 'kvseam.pin/1'
  readonly path: string
  /** Null takes the pin away. */
  readonly state: PathState | null
  readonly reason: string
  readonly untilUs: number
}

/** What tick() answered beside transitions and queued requests, which have records of their own. */
export interface TickRecord extends EventHead {
  readonly schema: 'kvseam.tick/1'
  /** `request`: a request came in, whose decision follows. */
  readonly cause: 'timer' | 'request'
  readonly expiredLeases: readonly number[]
  readonly probesDue: readonly ProbeDue[]
  readonly alarms: readonly Alarm[]
}

/**
 * Ticks of the timer in which nothing was worth telling, since the record before. They count all the same: a policy that judges
 * at each tick has judged then, and a replay has to.
 */
export interface QuietTicksRecord extends EventHead {
  readonly schema: 'kvseam.ticks/1'
  /** Times of the ticks, microseconds. */
  readonly at: readonly number[]
}

/** How the bytes of one admitted decision fared. Told to the log, not to the policy, which has it as a sample. */
export interface OutcomeRecord extends EventHead {
  readonly schema: 'kvseam.outcome/1'
  readonly lease: number
  readonly path: string
  /** `KVSEAM_OK`, or the code of the error. */
  readonly code: string
  /** Known to have arrived. */
  readonly bytes: number
  readonly totalUs: number
  /** Transfers it was cut into, and how many of them arrived. */
  readonly chunks: number
  readonly chunksDone: number
  readonly attempt: number
  /** Null: nobody compared digests here. */
  readonly verified: boolean | null
}

export type EventRecord =
  | ConfigRecord
  | SurroundingsRecord
  | WorkloadRecord
  | PathRecord
  | SampleRecord
  | LeaseRecord
  | PinRecord
  | TickRecord
  | QuietTicksRecord
  | OutcomeRecord
  | ProbeRecord
