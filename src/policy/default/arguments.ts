// What the profile accepts from its callers. Everything is checked before any state changes.

import { SeamError } from '../../errors.js'
import type { PathDescription, PolicyRequest, Sample } from '../policy.js'

/** Above this, microseconds lose their last digit. */
const MOST = Number.MAX_SAFE_INTEGER

export function invalid(field: string, value: unknown, wanted: string): SeamError {
  return new SeamError('KVSEAM_INVALID_ARGUMENT', { field, value }, `${field} is ${String(value)}; give ${wanted}`)
}

function amount(field: string, value: number, least: number, wanted: string): void {
  if (!(value >= least && value <= MOST)) throw invalid(field, value, wanted)
}

export function checkClock(nowUs: number): void {
  amount('nowUs', nowUs, 0, 'microseconds of a monotonic clock')
}

export function checkPath(path: PathDescription): void {
  if (typeof path.id !== 'string' || path.id === '') throw invalid('id', path.id, 'a name that no other path has')
  if (!Number.isSafeInteger(path.maxSessions) || path.maxSessions < 0) {
    throw invalid('maxSessions', path.maxSessions, 'a whole number, or 0 for the default')
  }
  if (path.maxBytes !== undefined && (!Number.isSafeInteger(path.maxBytes) || path.maxBytes < 0)) {
    throw invalid('maxBytes', path.maxBytes, 'a whole number, or 0 for no limit')
  }
  if (!(path.softCapacityFraction >= 0 && path.softCapacityFraction <= 1)) {
    throw invalid('softCapacityFraction', path.softCapacityFraction, 'a number up to 1, or 0 for the default')
  }
  if (path.nominal === undefined) return
  amount('nominal.fixedUs', path.nominal.fixedUs, 0, 'microseconds, 0 or more')
  if (!(path.nominal.bytesPerSecond >= 1 && path.nominal.bytesPerSecond <= 1e15)) {
    throw invalid('nominal.bytesPerSecond', path.nominal.bytesPerSecond, 'bytes per second from 1 to 10^15')
  }
}

export function checkSample(sample: Sample): void {
  amount('totalUs', sample.totalUs, 0, 'microseconds, 0 or more')
  amount('bytes', sample.bytes, 0, 'a whole number, 0 or more')
  if (!(sample.dropFraction >= 0 && sample.dropFraction <= 1)) {
    throw invalid('dropFraction', sample.dropFraction, 'a share from 0 to 1')
  }
}

export function checkRequest(request: PolicyRequest, paths: number): void {
  amount('bytes', request.bytes, 0, 'a whole number, 0 or more')
  if (request.deadlineUs !== null) amount('deadlineUs', request.deadlineUs, 0, 'a time of the same clock, or null')
  if (request.recomputeUs !== null) amount('recomputeUs', request.recomputeUs, 0, 'microseconds, or null')
  amount('leaseUs', request.leaseUs, 1, 'microseconds above 0')
  amount('attempt', request.attempt, 0, '0 for the first attempt')
  amount('seq', request.seq, 0, 'the number of this decision')
  let previous = -1
  for (const index of request.candidates) {
    if (!(index >= 0 && index < paths && Number.isInteger(index))) {
      throw invalid('candidates', index, 'indices that addPath returned')
    }
    if (index <= previous) {
      throw new SeamError(
        'KVSEAM_INVALID_ARGUMENT',
        { field: 'candidates', previous, value: index },
        `candidate ${index} follows ${previous}; list each path once, in registration order (ties are broken by it)`,
      )
    }
    previous = index
  }
}
