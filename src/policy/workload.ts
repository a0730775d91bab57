// What a class of request needs from a path. The first six fields are the published ones, and the three ready-made classes
// carry the published prototype's figures in them; the `reference` profile reads nothing else.
// The other fields are read by `default` and `isolate` only, and follow from the criticality where they are left out.

export type Quantile = 0.5 | 0.9 | 0.95 | 0.99

export interface WorkloadProfile {
  readonly name: string
  /** 0..1; how much an interruption costs. */
  readonly criticality: number
  /** Absolute limit of the published rules, blind to size; `default` and `isolate` use `sla` instead. */
  readonly latencySlaMs: number
  /** 0..1; 1 does not care about jitter. */
  readonly jitterTolerance: number
  readonly isReleasePath: boolean
  readonly isPrefillDecodeStrict: boolean
  /** Time allowed when a request has no deadline: baseMs + multiple x the time of these bytes on the idle path. */
  readonly sla?: { readonly baseMs: number; readonly multiple: number }
  /** Which quantile of the predicted time must meet the deadline. */
  readonly quantile?: Quantile
  /** Share of the SLA that the spread between the median and the 90th percentile may take, 0..1. */
  readonly jitterBudget?: number
  readonly reservation?: Reservation
}

/** Sessions set aside in each pool for a class. */
export interface Reservation {
  /** Share of the pool's sessions, 0..1. */
  readonly share: number
  /** Part of that share others may use while the class has not asked for a while, 0..1. */
  readonly lendableIdle: number
  /** Part others may use while it is asking, 0..1. */
  readonly lendableBusy: number
}

export const WORKLOADS = {
  release: {
    name: 'release',
    criticality: 0.95,
    latencySlaMs: 15,
    jitterTolerance: 0.1,
    isReleasePath: true,
    isPrefillDecodeStrict: true,
  },
  interactive: {
    name: 'interactive',
    criticality: 0.7,
    latencySlaMs: 30,
    jitterTolerance: 0.3,
    isReleasePath: false,
    isPrefillDecodeStrict: true,
  },
  batch: {
    name: 'batch',
    criticality: 0.2,
    latencySlaMs: 200,
    jitterTolerance: 0.9,
    isReleasePath: false,
    isPrefillDecodeStrict: false,
  },
} as const satisfies Record<string, WorkloadProfile>
