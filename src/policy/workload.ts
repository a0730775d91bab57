// What a class of request needs from a path. The three ready-made classes carry the published prototype's figures.

export interface WorkloadProfile {
  readonly name: string
  /** 0..1; how much an interruption costs. */
  readonly criticality: number
  readonly latencySlaMs: number
  /** 0..1; 1 does not care about jitter. */
  readonly jitterTolerance: number
  readonly isReleasePath: boolean
  readonly isPrefillDecodeStrict: boolean
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
