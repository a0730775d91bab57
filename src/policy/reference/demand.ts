// What one request asks of a path, copied out of its workload at decision time so that the record cannot change later.
//   effective criticality = min(max(criticality, release path ? 0.90 : 0, prefill/decode strict ? 0.60 : 0), 1)
//   jitter budget = (1 - jitter tolerance) * 5 ms, which binds only below a tolerance of 0.4

import { SeamError } from '../../errors.js'
import type { WorkloadProfile } from '../workload.js'

export interface Demand {
  /** Effective criticality: the published rules never look at the plain one. */
  readonly criticality: number
  readonly latencySlaMs: number
  readonly jitterBudgetMs: number
  readonly isJitterBound: boolean
  readonly isReleasePath: boolean
}

const JITTER_BUDGET_MS = 5
const JITTER_BINDS_BELOW = 0.4

function effectiveCriticality(workload: WorkloadProfile): number {
  const releaseFloor = workload.isReleasePath ? 0.9 : 0
  const strictFloor = workload.isPrefillDecodeStrict ? 0.6 : 0
  return Math.min(Math.max(workload.criticality, releaseFloor, strictFloor), 1)
}

/** Throws KVSEAM_INVALID_ARGUMENT: a NaN would pass every comparison below and so be admitted everywhere. */
export function demandOf(workload: WorkloadProfile): Demand {
  const { criticality, latencySlaMs, jitterTolerance } = workload
  if (!(criticality >= 0 && criticality <= 1)) throw invalidField('criticality', criticality, 'a number from 0 to 1')
  if (!(latencySlaMs >= 0)) throw invalidField('latencySlaMs', latencySlaMs, 'milliseconds, 0 or more')
  if (!(jitterTolerance >= 0 && jitterTolerance <= 1)) {
    throw invalidField('jitterTolerance', jitterTolerance, 'a number from 0 to 1')
  }
  return {
    criticality: effectiveCriticality(workload),
    latencySlaMs,
    jitterBudgetMs: (1 - jitterTolerance) * JITTER_BUDGET_MS,
    isJitterBound: jitterTolerance < JITTER_BINDS_BELOW,
    isReleasePath: workload.isReleasePath,
  }
}

function invalidField(field: string, value: unknown, wanted: string): SeamError {
  return new SeamError(
    'KVSEAM_INVALID_ARGUMENT',
    { field: `workload.${field}`, value },
    `workload.${field} is ${String(value)}; give ${wanted}`,
  )
}
