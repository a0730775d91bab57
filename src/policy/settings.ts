// The settings of the default and isolate profiles: every key with its default, range and meaning. This table is the one
// schema; options, the JSON file, KVSEAM_POLICY_* and the documentation are read from it (src/config/).
// Values are defended to an order of magnitude (docs/default-policy.md); what is not in the table is not a setting.

export interface NumberSetting {
  readonly kind: 'number'
  readonly value: number
  readonly least: number
  readonly most: number
  readonly whole: boolean
  readonly doc: string
}

export interface ListSetting {
  readonly kind: 'list'
  readonly value: readonly string[]
  readonly known: readonly string[]
  readonly doc: string
}

/** Parts of the policy that can be switched off one by one, to see what each is worth. */
export const COMPONENTS = [
  'fair-bound',
  'fifo-bound',
  'common-mode',
  'confidence',
  'prediction',
  'discipline',
  'added-delay',
  'at-risk',
  'gfs-tail',
  'stall',
  'prs',
  'fae',
  'soft-states',
  'hard-evidence',
  'do-no-harm',
  'hold',
  'canary',
  'reservations',
  'groups',
  'panic',
  'queue',
  'dispatch',
  'overtake',
  'retry-budget',
  'probes',
] as const

export type Component = (typeof COMPONENTS)[number]

const ms = (value: number, least: number, most: number, doc: string) =>
  ({ kind: 'number', value, least, most, whole: true, doc }) as const
const share = (value: number, doc: string) => ({ kind: 'number', value, least: 0, most: 1, whole: false, doc }) as const
const count = (value: number, least: number, most: number, doc: string) =>
  ({ kind: 'number', value, least, most, whole: true, doc }) as const
const ratio = (value: number, least: number, most: number, doc: string) =>
  ({ kind: 'number', value, least, most, whole: false, doc }) as const

export const SETTINGS = {
  windowMs: ms(10_000, 800, 600_000, 'Span of the evidence a state rests on; eight sub-windows.'),
  tickMs: ms(250, 10, 10_000, 'How often states are judged.'),
  minSamples: count(5, 1, 1000, 'Fewer samples in the window move no state, except failures in a row.'),
  noiseUs: count(2000, 0, 1_000_000, 'Clock and completion noise taken off every duration before it is judged.'),
  noiseFloorUs: count(
    4000,
    1,
    10_000_000,
    'A transfer whose ideal time is shorter is judged against this much, so that noise cannot look like slowness.',
  ),
  defaultBytesPerSecond: count(
    12_500_000_000,
    1,
    1_000_000_000_000_000,
    'Rate assumed of a path until it or a peer of its class has been measured.',
  ),
  defaultFixedUs: count(100, 0, 60_000_000, 'Fixed cost of a transfer assumed until measured.'),
  learnSamples: count(8, 2, 50, 'Samples after which a path without a given rate knows its own.'),
  staleMs: ms(60_000, 1000, 86_400_000, 'Evidence older than this makes a healthy path unknown.'),
  confidenceHalfLifeMs: ms(30_000, 100, 86_400_000, 'Half-life of a sample in the confidence.'),
  upUsable: share(0.27, 'Gray failure score from which a path is degraded_usable.'),
  upRestricted: share(0.5, 'Gray failure score from which a path is degraded_restricted.'),
  upCandidate: share(0.75, 'Gray failure score from which a failing path is a quarantine candidate.'),
  downUsable: share(0.14, 'Gray failure score below which degraded_usable ends.'),
  downRestricted: share(0.32, 'Gray failure score below which degraded_restricted ends.'),
  downCandidate: share(0.55, 'Gray failure score below which the quarantine-candidate level ends.'),
  downTicks: count(8, 1, 1000, 'Ticks below the lower threshold before a degraded state steps down.'),
  failuresInARow: count(3, 1, 100, 'Failures charged to the path, one after the other, that quarantine it.'),
  stallAgeMs: ms(20, 1, 600_000, 'A transfer in flight younger than this is never a stall.'),
  holdMs: ms(3000, 10, 3_600_000, 'Shortest quarantine.'),
  holdMostMs: ms(60_000, 10, 86_400_000, 'Longest quarantine before the first proof is asked for.'),
  corruptHoldMs: ms(3_600_000, 10, 604_800_000, 'Quarantine after corrupted bytes, unless an operator ends it.'),
  cleanProbes: count(3, 1, 100, 'Clean probes in a row that end a quarantine.'),
  verifyMs: ms(2000, 10, 60_000, 'A quarantine candidate that is not cleared within this is quarantined.'),
  canaryDwellMs: ms(1000, 0, 600_000, 'Shortest stay at a canary stage; doubles with each flap, four times at most.'),
  penaltyMost: count(12_000, 1, 1_000_000, 'Flap penalty is capped here.'),
  penaltyHalfLifeMs: ms(
    60_000,
    100,
    86_400_000,
    'Half-life of the flap penalty, which decays on fresh clean evidence only.',
  ),
  ejectMost: share(0.5, 'Share of a pool that soft evidence may take out of service.'),
  doNoHarmLoad: share(0.85, 'Load of the remaining paths above which soft evidence takes no more out.'),
  deadlineMargin: share(0.05, 'Part of the remaining time kept back by the deadline check.'),
  tieBand: share(0, 'Costs within this much of the best are a tie; several deciders may want some.'),
  sessionsPerPath: count(64, 1, 1_000_000, 'Sessions of a path that does not say.'),
  demandMemoryMs: ms(10_000, 0, 3_600_000, 'A class that asked within this lends none of its reservation.'),
  dispatchUs: count(
    500,
    0,
    60_000_000,
    'A request that may wait goes to a path only when less than this much work is left on it; 0 sends at once.',
  ),
  queueMost: count(1024, 0, 1_000_000, 'Most queued requests.'),
  queueBytesMost: count(68_719_476_736, 0, Number.MAX_SAFE_INTEGER, 'Most queued bytes.'),
  retryShare: share(0.1, 'Retries earned by each first attempt.'),
  retryPerSecond: ratio(3, 0, 1_000_000, 'Retries earned by time.'),
  probeIdleMs: ms(5000, 100, 86_400_000, 'A path without a sample for this long is probed.'),
  probeSmallBytes: count(65_536, 1, 1_073_741_824, 'Size of a small probe.'),
  probeLargeBytes: count(4_194_304, 1, 1_073_741_824, 'Size of a large probe.'),
  probeTimeoutMs: ms(500, 1, 60_000, 'A probe that takes longer has failed.'),
  probesPerSecond: count(20, 0, 100_000, 'Most probes per second of this policy.'),
  probeByteShare: share(0.005, 'Most probe bytes, as a share of what the probed path could carry.'),
  seed: count(0, 0, 4_294_967_295, 'Seed of the draws that break ties.'),
  ablate: {
    kind: 'list',
    value: [],
    known: COMPONENTS,
    doc: 'Components switched off; for measuring what they are worth.',
  } as ListSetting,
} as const satisfies Record<string, NumberSetting | ListSetting>

export type SettingName = keyof typeof SETTINGS

export type PolicySettings = {
  readonly [K in SettingName]: K extends 'ablate' ? readonly Component[] : number
}

export const SETTING_NAMES = Object.freeze(Object.keys(SETTINGS) as SettingName[])

export const DEFAULT_SETTINGS: PolicySettings = Object.freeze(
  Object.fromEntries(SETTING_NAMES.map((name) => [name, SETTINGS[name].value])) as unknown as PolicySettings,
)
