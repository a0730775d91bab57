// The tunable numbers of the published rules with their published defaults. What is not here (the GFS limits
// 0.18/0.40/0.65/0.15, the PRS limit 0.75, the jitter budget of 5 ms) is fixed in the rules and not a setting.

import { SeamError } from '../../errors.js'

export interface ReferenceThresholds {
  /** p99 at which the latency term of the GFS saturates. */
  readonly latencyQuarantineMs: number
  /** Half the jitter at which the jitter term of the GFS saturates. */
  readonly jitterRestrictedMs: number
  /** Mean drop fraction at which the drop term of the GFS saturates. */
  readonly dropQuarantine: number
  readonly latencyWeight: number
  readonly jitterWeight: number
  readonly dropWeight: number
  /** Samples the figures of a path rest on. */
  readonly candidateWindow: number
  /** Bad samples in a row before a state escalates one step further. */
  readonly persistenceToEscalate: number
  readonly cleanToRestore: number
  readonly cleanToHealthy: number
  /** Sessions that count as a whole cluster's loss in the FAE. */
  readonly faeClusterScale: number
  readonly faeMax: number
  /** Capacity of a path that names none (0). */
  readonly maxSessions: number
  /** Soft fraction of a path that names none (0). */
  readonly softCapacityFraction: number
}

/** The published rules keep no more samples than this, so a longer window would never fill. */
const HISTORY_SAMPLES = 60

export const PUBLISHED_THRESHOLDS: ReferenceThresholds = Object.freeze({
  latencyQuarantineMs: 40,
  jitterRestrictedMs: 8,
  dropQuarantine: 0.05,
  latencyWeight: 0.45,
  jitterWeight: 0.3,
  dropWeight: 0.25,
  candidateWindow: 10,
  persistenceToEscalate: 3,
  cleanToRestore: 5,
  cleanToHealthy: 8,
  faeClusterScale: 100,
  faeMax: 10,
  maxSessions: 8,
  softCapacityFraction: 0.75,
})

type Range = readonly [least: number, most: number, kind: 'integer' | 'real']

const RANGES: Readonly<Record<keyof ReferenceThresholds, Range>> = {
  latencyQuarantineMs: [Number.MIN_VALUE, Number.MAX_VALUE, 'real'],
  jitterRestrictedMs: [Number.MIN_VALUE, Number.MAX_VALUE, 'real'],
  dropQuarantine: [Number.MIN_VALUE, 1, 'real'],
  latencyWeight: [0, 1, 'real'],
  jitterWeight: [0, 1, 'real'],
  dropWeight: [0, 1, 'real'],
  candidateWindow: [1, HISTORY_SAMPLES, 'integer'],
  persistenceToEscalate: [1, Number.MAX_SAFE_INTEGER, 'integer'],
  cleanToRestore: [1, Number.MAX_SAFE_INTEGER, 'integer'],
  cleanToHealthy: [1, Number.MAX_SAFE_INTEGER, 'integer'],
  faeClusterScale: [Number.MIN_VALUE, Number.MAX_VALUE, 'real'],
  faeMax: [Number.MIN_VALUE, Number.MAX_VALUE, 'real'],
  maxSessions: [1, Number.MAX_SAFE_INTEGER, 'integer'],
  softCapacityFraction: [Number.MIN_VALUE, 1, 'real'],
}

/** The published thresholds with `overrides` laid over them. Throws KVSEAM_CONFIG_INVALID naming the field. */
export function resolveThresholds(overrides: Partial<ReferenceThresholds> = {}): ReferenceThresholds {
  const resolved: Record<string, number> = { ...PUBLISHED_THRESHOLDS }
  for (const [field, value] of Object.entries(overrides)) {
    const range = Object.hasOwn(RANGES, field) ? RANGES[field as keyof ReferenceThresholds] : undefined
    if (range === undefined) {
      throw new SeamError(
        'KVSEAM_CONFIG_INVALID',
        { field, value },
        `unknown reference threshold '${field}'; known are ${Object.keys(RANGES).join(', ')}`,
      )
    }
    if (value === undefined) continue
    const [least, most, kind] = range
    const fits = value >= least && value <= most && (kind === 'real' || Number.isInteger(value))
    if (!fits) {
      throw new SeamError(
        'KVSEAM_CONFIG_INVALID',
        { field, value, least, most, kind },
        `reference threshold '${field}' is ${String(value)}; give ${kind === 'integer' ? 'an integer' : 'a number'} ${rangeText(least, most)}`,
      )
    }
    resolved[field] = value
  }
  return Object.freeze(resolved) as unknown as ReferenceThresholds
}

function rangeText(least: number, most: number): string {
  const from = least === Number.MIN_VALUE ? 'above 0' : `of at least ${least}`
  return most >= Number.MAX_SAFE_INTEGER ? from : `${from} and at most ${most}`
}
