// What a workload class may take from a path, from its criticality unless its profile says otherwise. Tiers:
//   release      criticality >= 0.9, or a release path                     strict, reserved
//   interactive  criticality >= 0.5, or prefill and decode in lock-step
//   batch        the rest                                                  tolerant

import { SeamError } from '../../errors.js'
import type { PathState } from '../policy.js'
import type { Quantile, Reservation, WorkloadProfile } from '../workload.js'

export type Tier = 'release' | 'interactive' | 'batch'

export const TIERS: readonly Tier[] = ['release', 'interactive', 'batch']

export interface ClassLimits {
  readonly name: string
  readonly tier: Tier
  /** Place of the tier in the queue, 0 first. */
  readonly priority: number
  readonly criticality: number
  readonly quantile: Quantile
  readonly slaBaseUs: number
  readonly slaMultiple: number
  readonly jitterBudget: number
  readonly confidence: number
  readonly prs: number
  readonly fae: number
  readonly reservation: Reservation
}

interface TierLimits {
  readonly quantile: Quantile
  readonly slaMultiple: number
  readonly jitterBudget: number
  readonly confidence: number
  readonly prs: number
  readonly fae: number
  readonly reservation: Reservation
}

const BY_TIER: Readonly<Record<Tier, TierLimits>> = {
  release: {
    quantile: 0.99,
    slaMultiple: 2,
    jitterBudget: 0.1,
    confidence: 0.5,
    prs: 0.45,
    fae: 0.5,
    reservation: { share: 0.2, lendableIdle: 0.75, lendableBusy: 0 },
  },
  interactive: {
    quantile: 0.99,
    slaMultiple: 3,
    jitterBudget: 0.3,
    confidence: 0.3,
    prs: 0.6,
    fae: 1,
    reservation: { share: 0.5, lendableIdle: 0.5, lendableBusy: 0.5 },
  },
  batch: {
    quantile: 0.9,
    slaMultiple: 10,
    jitterBudget: 0.9,
    confidence: 0,
    prs: 0.75,
    fae: 2,
    reservation: { share: 0.3, lendableIdle: 1, lendableBusy: 1 },
  },
}

const SLA_BASE_MS = 20

/** Preference level of a state: 0 as good as healthy, higher only when nothing lower can serve. Canary stage 0, then later. */
const LEVELS: Readonly<Record<Tier, Readonly<Record<PathState, readonly [number, number]>>>> = {
  release: levels(1, 1, 2, [2, 1]),
  interactive: levels(1, 0, 2, [1, 0]),
  batch: levels(0, 0, 1, [0, 0]),
}

function levels(unknown: number, usable: number, restricted: number, restored: readonly [number, number]) {
  return {
    unknown: [unknown, unknown],
    healthy: [0, 0],
    degraded_usable: [usable, usable],
    degraded_restricted: [restricted, restricted],
    quarantine_candidate: [0, 0],
    quarantined: [0, 0],
    restored,
  } as const
}

export function levelOf(tier: Tier, state: PathState, stage: number): number {
  return LEVELS[tier][state][stage > 0 ? 1 : 0]
}

function tierOf(workload: WorkloadProfile): Tier {
  if (workload.isReleasePath || workload.criticality >= 0.9) return 'release'
  return workload.isPrefillDecodeStrict || workload.criticality >= 0.5 ? 'interactive' : 'batch'
}

/** @throws KVSEAM_INVALID_ARGUMENT: a NaN would pass every comparison and so be admitted everywhere */
export function classLimits(workload: WorkloadProfile): ClassLimits {
  const { criticality, quantile, sla, reservation } = workload
  checkShare('criticality', criticality)
  checkShare('jitterBudget', workload.jitterBudget ?? 0)
  if (quantile !== undefined && ![0.5, 0.9, 0.95, 0.99].includes(quantile)) {
    throw invalid('quantile', quantile, '0.5, 0.9, 0.95 or 0.99')
  }
  if (sla !== undefined && !(sla.baseMs >= 0 && sla.baseMs <= 86_400_000 && sla.multiple >= 0 && sla.multiple <= 1e6)) {
    throw invalid('sla', `${sla.baseMs} ms + ${sla.multiple} x`, 'a baseMs and a multiple, 0 or more')
  }
  if (reservation !== undefined) {
    checkShare('reservation.share', reservation.share)
    checkShare('reservation.lendableIdle', reservation.lendableIdle)
    checkShare('reservation.lendableBusy', reservation.lendableBusy)
  }
  const tier = tierOf(workload)
  const standard = BY_TIER[tier]
  return {
    name: reservation === undefined ? tier : workload.name,
    tier,
    priority: TIERS.indexOf(tier),
    criticality: Math.max(criticality, tier === 'release' ? 0.9 : tier === 'interactive' ? 0.5 : 0),
    quantile: quantile ?? standard.quantile,
    slaBaseUs: Math.round((sla?.baseMs ?? SLA_BASE_MS) * 1000),
    slaMultiple: sla?.multiple ?? standard.slaMultiple,
    jitterBudget: workload.jitterBudget ?? standard.jitterBudget,
    confidence: standard.confidence,
    prs: standard.prs,
    fae: standard.fae,
    reservation: reservation ?? standard.reservation,
  }
}

function checkShare(field: string, value: number): void {
  if (!(value >= 0 && value <= 1)) throw invalid(field, value, 'a number from 0 to 1')
}

function invalid(field: string, value: unknown, wanted: string): SeamError {
  return new SeamError(
    'KVSEAM_INVALID_ARGUMENT',
    { field: `workload.${field}`, value },
    `workload.${field} is ${String(value)}; give ${wanted}`,
  )
}
