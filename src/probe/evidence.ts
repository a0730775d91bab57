// What a series of probes tells the policy: one sample for each operation, charged as transfers are.

import { SeamError } from '../errors.js'
import type { NativeProbeEnd } from '../native/binding.js'
import type { PathMode } from '../paths.js'
import type { SampleOutcome } from '../policy/policy.js'
import type { CheckedProbe, ProbeKind } from './probe-options.js'

export interface ProbeSample {
  readonly outcome: SampleOutcome
  readonly totalUs: number
  readonly selfDelayed: boolean
}

/** Whether the bytes of such a probe flow as the path's own do; a round trip goes both ways. */
export function flowsAlong(mode: PathMode, kind: ProbeKind): boolean {
  return kind === 'rtt' || (kind === 'read') === (mode === 'pull')
}

export function samplesOf(asked: CheckedProbe, end: NativeProbeEnd): ProbeSample[] {
  const samples: ProbeSample[] = []
  for (const [i, ns] of end.samplesNs.entries()) {
    samples.push({ outcome: 'ok', totalUs: ns / 1e3, selfDelayed: end.selfDelayed[i] === 1 })
  }
  const outcome = outcomeOf(end.error)
  for (let i = 0; i < end.failed; i++) {
    // A failure is never a fast sample, so it counts with the time that it could have taken.
    const timedOut = i < end.timedOut
    samples.push({
      outcome: timedOut ? 'timeout' : outcome,
      totalUs: asked.timeoutMs * 1e3,
      selfDelayed: i < end.failedSelfDelayed,
    })
  }
  return samples
}

function outcomeOf(error: Error | undefined): SampleOutcome {
  if (!SeamError.is(error)) return 'local'
  switch (error.blame) {
    case 'path':
    case 'none':
      return 'transport'
    case 'peer':
    case 'pool':
      return 'remote_busy'
    case 'cancelled':
      return 'cancelled'
    default:
      return 'local'
  }
}
