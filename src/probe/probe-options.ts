// What a probe may be asked for, and what it is when nothing is asked.

import { knownKeys, positive, refuse, wholeNumber } from '../check.js'

/**
 * `rtt`: a one-sided read of a few bytes, which is a whole round trip over the machinery that payloads use and needs nobody's
 * attention at the other end. `read` and `write`: the same with more bytes, timed and set against the clock for a rate.
 */
export type ProbeKind = 'rtt' | 'read' | 'write'

export const PROBE_KINDS: readonly ProbeKind[] = ['rtt', 'read', 'write']

/** Half of the region that each agent keeps for probes (native/core/probe_memory.h). */
export const MOST_PROBE_BYTES = 4 * 1024 * 1024
/** Of one operation, unless told. */
export const USUAL_BYTES: Readonly<Record<ProbeKind, number>> = { rtt: 64, read: 1024 * 1024, write: 1024 * 1024 }
const MOST_RTT_BYTES = 4096
const MOST_COUNT = 10_000
const MOST_WINDOW = 16
const LONGEST_MS = 3_600_000
/** A series without a bound of its own ends after this at the latest. */
const TOTAL_MS = 30_000

export interface ProbeOptions {
  /** `rtt` unless told. */
  readonly kind?: ProbeKind
  /** Bytes of one operation: `rtt` 64 (at most 4,096), `read` and `write` 1 MiB (at most 4 MiB) unless told. */
  readonly bytes?: number
  /** Operations of the series, 1 to 10,000: `rtt` 100, `read` and `write` 20 unless told. */
  readonly count?: number
  /** Operations in flight at once, 1 to 16; 1 unless told. More than one measures the rate, and latency under load. */
  readonly window?: number
  /** An operation that takes longer has failed, milliseconds; 500 unless told. */
  readonly timeoutMs?: number
  /** Bound of the whole series, milliseconds; `timeoutMs` for each and one more, at most 30,000, unless told. */
  readonly totalMs?: number
  /** Ends the series; the call then rejects with the signal's reason. */
  readonly signal?: AbortSignal
  /**
   * Whether the policy takes the samples for evidence. Yes unless told, but under the `reference` profile: it scores raw
   * milliseconds, so that small probes would hide what payloads suffer. A probe whose bytes flow against its path never is.
   */
  readonly observe?: boolean
}

export interface CheckedProbe {
  readonly kind: ProbeKind
  readonly bytes: number
  readonly count: number
  readonly window: number
  readonly timeoutMs: number
  readonly totalMs: number
  readonly signal: AbortSignal | undefined
  readonly observe: boolean | undefined
}

const OPTION_NAMES = [
  'kind',
  'bytes',
  'count',
  'window',
  'timeoutMs',
  'totalMs',
  'signal',
  'observe',
] as const satisfies readonly (keyof ProbeOptions)[]

/** @throws KVSEAM_CONFIG_INVALID for an unknown key, KVSEAM_INVALID_ARGUMENT or KVSEAM_OUT_OF_BOUNDS for a bad value */
export function checkProbe(options: ProbeOptions): CheckedProbe {
  knownKeys('options', options, OPTION_NAMES)
  const kind = probeKind('kind', options.kind ?? 'rtt')
  const small = kind === 'rtt'
  const { signal } = options
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw refuse('KVSEAM_INVALID_ARGUMENT', 'signal', signal, 'it must be an AbortSignal')
  }
  if (options.observe !== undefined && typeof options.observe !== 'boolean') {
    throw refuse('KVSEAM_INVALID_ARGUMENT', 'observe', options.observe, 'it must be true or false')
  }
  const count = wholeNumber('count', options.count ?? (small ? 100 : 20), 1, MOST_COUNT)
  const timeoutMs = positive('timeoutMs', options.timeoutMs ?? 500, LONGEST_MS)
  return {
    kind,
    bytes: wholeNumber('bytes', options.bytes ?? USUAL_BYTES[kind], 1, small ? MOST_RTT_BYTES : MOST_PROBE_BYTES),
    count,
    window: wholeNumber('window', options.window ?? 1, 1, MOST_WINDOW),
    timeoutMs,
    totalMs: positive('totalMs', options.totalMs ?? Math.min((count + 1) * timeoutMs, TOTAL_MS), LONGEST_MS),
    signal,
    observe: options.observe,
  }
}

/** @throws KVSEAM_INVALID_ARGUMENT */
export function probeKind(field: string, kind: unknown): ProbeKind {
  if (PROBE_KINDS.includes(kind as ProbeKind)) return kind as ProbeKind
  throw refuse('KVSEAM_INVALID_ARGUMENT', field, kind, `known are ${PROBE_KINDS.join(', ')}`)
}
