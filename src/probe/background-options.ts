// How paths are probed in the background: the options of openSeam({ probes }) and what they become.

import { knownKeys, positive, refuse, wholeNumber } from '../check.js'
import { PROBE_RULES, type ProbeScheduleRules } from '../policy/probe-schedule.js'
import { MOST_PROBE_BYTES } from './probe-options.js'

export interface BackgroundProbeOptions {
  /** Most probes a second of one source agent; 20 unless told. */
  readonly probesPerSecond?: number
  /** Most probe bytes, as a share of what the source's rails carry together; 0.005 unless told. */
  readonly byteShare?: number
  /** A healthy path without a sample for this long is probed, milliseconds; 5,000 unless told. */
  readonly idleMs?: number
  /** Size of most probes; 64 KiB unless told. */
  readonly smallBytes?: number
  /** Size of every fourth; 4 MiB unless told, which is also the most. */
  readonly largeBytes?: number
  /** A probe that takes longer has failed, milliseconds; 500 unless told. */
  readonly timeoutMs?: number
}

const OPTION_NAMES = [
  'probesPerSecond',
  'byteShare',
  'idleMs',
  'smallBytes',
  'largeBytes',
  'timeoutMs',
] as const satisfies readonly (keyof BackgroundProbeOptions)[]

/**
 * Undefined means off. Left out, it depends on the profile: `reference` scores raw milliseconds and has no use for probes but
 * to let an isolated path back in, which the published rules do not do; every other profile is built on probes.
 * @throws KVSEAM_CONFIG_INVALID, KVSEAM_INVALID_ARGUMENT or KVSEAM_OUT_OF_BOUNDS
 */
export function backgroundRules(
  probes: 'off' | BackgroundProbeOptions | undefined,
  profile: string,
): ProbeScheduleRules | undefined {
  if (probes === 'off' || (probes === undefined && profile === 'reference')) return undefined
  if (typeof probes === 'string') {
    throw refuse('KVSEAM_CONFIG_INVALID', 'options.probes', probes, "it must be 'off' or an object of limits")
  }
  const given = probes ?? {}
  knownKeys('options.probes', given, OPTION_NAMES)
  const at = (name: keyof BackgroundProbeOptions): string => `options.probes.${name}`
  const largeBytes = wholeNumber(at('largeBytes'), given.largeBytes ?? PROBE_RULES.largeBytes, 1, MOST_PROBE_BYTES)
  return {
    ...PROBE_RULES,
    probesPerSecond: positive(at('probesPerSecond'), given.probesPerSecond ?? PROBE_RULES.probesPerSecond, 10_000),
    byteShare: positive(at('byteShare'), given.byteShare ?? PROBE_RULES.byteShare, 1),
    idleUs: Math.round(positive(at('idleMs'), given.idleMs ?? PROBE_RULES.idleUs / 1000, 86_400_000) * 1000),
    smallBytes: wholeNumber(
      at('smallBytes'),
      given.smallBytes ?? Math.min(PROBE_RULES.smallBytes, largeBytes),
      1,
      largeBytes,
    ),
    largeBytes,
    burstBytes: 2 * largeBytes,
    timeoutUs: Math.round(positive(at('timeoutMs'), given.timeoutMs ?? PROBE_RULES.timeoutUs / 1000, 60_000) * 1000),
  }
}
