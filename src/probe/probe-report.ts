// What one series of probes has measured. Percentiles are exact: they come from the samples, not from buckets.

import { SeamError } from '../errors.js'
import type { NativeProbeEnd } from '../native/binding.js'
import type { CheckedProbe, ProbeKind } from './probe-options.js'

export interface ProbeReport {
  readonly path: string
  readonly kind: ProbeKind
  /** Of one operation. */
  readonly bytes: number
  /** Operations asked for. */
  readonly count: number
  readonly window: number
  /** Where the figures come from: `mock`, `emulated` or `real`. */
  readonly label: 'mock' | 'emulated' | 'real'
  /** Faults were being injected meanwhile. */
  readonly faulted: boolean
  /** Samples behind the figures below: operations that succeeded and were not delayed by this process itself. */
  readonly n: number
  /** Operations that succeeded while this process was stalled; they say nothing about the path and are left out. */
  readonly selfDelayed: number
  readonly failed: number
  /** Of those that failed: no answer within `timeoutMs`. */
  readonly timedOut: number
  /** Post to arrived, nanoseconds, by the progress thread's own clock; null without samples, as all that follow. */
  readonly minNs: number | null
  readonly p50Ns: number | null
  readonly p90Ns: number | null
  readonly p99Ns: number | null
  readonly p999Ns: number | null
  readonly maxNs: number | null
  readonly meanNs: number | null
  /** Mean difference between neighbouring samples; null with fewer than two. */
  readonly jitterNs: number | null
  /** Bytes that arrived over the time of the series, failures included in the time; null for `rtt`. */
  readonly bytesPerSecond: number | null
  readonly elapsedMs: number
  /** Code of the newest failure, or why the series ended before its count; null when nothing failed. */
  readonly failure: string | null
  /** Which side that is charged to: `path`, `peer`, `local`, ... */
  readonly failureBlame: string | null
  readonly failureText: string | null
}

export interface ReportContext {
  readonly path: string
  readonly label: ProbeReport['label']
  readonly faulted: boolean
}

export function probeReport(context: ReportContext, asked: CheckedProbe, end: NativeProbeEnd): ProbeReport {
  const clean = end.samplesNs.filter((_, i) => end.selfDelayed[i] === 0)
  const sorted = clean.slice().sort()
  const { error } = end
  const moved = asked.bytes * end.samplesNs.length
  return {
    ...context,
    kind: asked.kind,
    bytes: asked.bytes,
    count: asked.count,
    window: asked.window,
    n: sorted.length,
    selfDelayed: end.samplesNs.length - sorted.length,
    failed: end.failed,
    timedOut: end.timedOut,
    minNs: sorted[0] ?? null,
    p50Ns: quantile(sorted, 0.5),
    p90Ns: quantile(sorted, 0.9),
    p99Ns: quantile(sorted, 0.99),
    p999Ns: quantile(sorted, 0.999),
    maxNs: sorted.at(-1) ?? null,
    meanNs: sorted.length === 0 ? null : sorted.reduce((sum, ns) => sum + ns, 0) / sorted.length,
    jitterNs: jitter(clean),
    bytesPerSecond: asked.kind === 'rtt' || moved === 0 || end.elapsedNs <= 0 ? null : moved / (end.elapsedNs / 1e9),
    elapsedMs: end.elapsedNs / 1e6,
    failure: error === undefined ? null : SeamError.is(error) ? error.code : 'KVSEAM_TRANSFER_FAILED',
    failureBlame: error === undefined ? null : SeamError.is(error) ? error.blame : 'local',
    failureText: error?.message ?? null,
  }
}

/** The smallest sample that the share `q` of them does not exceed. */
function quantile(sorted: Float64Array, q: number): number | null {
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? null
}

function jitter(samples: Float64Array): number | null {
  if (samples.length < 2) return null
  let sum = 0
  for (let i = 1; i < samples.length; i++) sum += Math.abs(samples[i]! - samples[i - 1]!)
  return sum / (samples.length - 1)
}
