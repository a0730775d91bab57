// What the profile accepts from its callers. Everything is checked before any state changes.

import { SeamError } from '../../errors.js'
import type { PathDescription, Sample } from '../policy.js'

/** Above this, microseconds lose their last digit. */
const MAX_US = Number.MAX_SAFE_INTEGER

function invalid(field: string, value: unknown, wanted: string): SeamError {
  return new SeamError('KVSEAM_INVALID_ARGUMENT', { field, value }, `${field} is ${String(value)}; give ${wanted}`)
}

export function checkClock(nowUs: number): void {
  if (!(nowUs >= 0 && nowUs <= MAX_US)) throw invalid('nowUs', nowUs, 'microseconds of a monotonic clock')
}

export function checkLease(leaseUs: number): void {
  if (!(leaseUs > 0 && leaseUs <= MAX_US)) throw invalid('leaseUs', leaseUs, 'microseconds above 0')
}

export function checkPath(path: PathDescription): void {
  if (typeof path.id !== 'string' || path.id === '') throw invalid('id', path.id, 'a name that no other path has')
  if (!Number.isSafeInteger(path.maxSessions) || path.maxSessions < 0) {
    throw invalid('maxSessions', path.maxSessions, 'a whole number, or 0 for the default')
  }
  if (!(path.softCapacityFraction >= 0 && path.softCapacityFraction <= 1)) {
    throw invalid('softCapacityFraction', path.softCapacityFraction, 'a number up to 1, or 0 for the default')
  }
}

export function checkSample(sample: Sample): void {
  if (!(sample.totalUs >= 0 && sample.totalUs <= MAX_US)) {
    throw invalid('totalUs', sample.totalUs, 'microseconds, 0 or more')
  }
  if (!(sample.dropFraction >= 0 && sample.dropFraction <= 1)) {
    throw invalid('dropFraction', sample.dropFraction, 'a share from 0 to 1')
  }
}

/** Only what is charged to the path, measured by a process that was not itself stalled, may enter its window. */
export function entersWindow(sample: Sample): boolean {
  switch (sample.outcome) {
    case 'ok':
    case 'timeout':
    case 'transport':
    case 'corrupt':
      return !sample.selfDelayed
    // A peer that is gone makes its paths unusable; the published rules have no figure for it, and its time says nothing.
    case 'link_down':
    case 'remote_busy':
    case 'local':
    case 'cancelled':
    case 'expired':
    case 'telemetry_missing':
      return false
    default:
      throw invalid('outcome', sample.outcome satisfies never, 'a SampleOutcome')
  }
}
