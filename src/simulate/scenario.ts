// What one simulated run is made of: the paths and what they share, who serves them how, and what goes wrong when.

import type { PathDescription } from '../policy/policy.js'
import { integerAt, streamOf } from '../random.js'
import type { FaultInterval, FaultKind } from './fault.js'

/**
 * A prefill host with four NICs to two decode hosts: eight paths, two on every rail, unless a run takes fewer.
 * Rates are of the order of 100 Gbit/s.
 */
export const PATHS = 8
export const PATH_BYTES_PER_US = 12_500
/** Fixed cost of a transfer on an idle path, microseconds. */
export const START_US = 200
/** Transfers in flight on a path, unless a run allows fewer. */
export const SESSIONS = 64

/**
 * Names of the fault columns: a fault kind on one drawn path, or
 *   rail      slow20 on both paths of a rail         common   slow50 on all paths
 *   relapse   a black hole that comes back as slow20  cold     a path that is added when the fault would begin
 *   raildown  a black hole on both paths of a rail   outage   a black hole on six of the eight paths
 *   brownout  stall on all paths
 *   coldbad   the same, and it is slow20                cross    on every other path, at different moments
 */
export type ScenarioFault =
  | 'none'
  | Exclude<FaultKind, 'absent'>
  | 'rail'
  | 'raildown'
  | 'outage'
  | 'brownout'
  | 'common'
  | 'relapse'
  | 'cold'
  | 'coldbad'

/** The columns of the main table. `slow20` is its slow path, `rail` a slow20 on both paths of a rail. */
export const MAIN_FAULTS: readonly ScenarioFault[] = ['none', 'slow20', 'stall', 'blackhole', 'flap', 'rail']
export const OTHER_FAULTS: readonly ScenarioFault[] = [
  'slow50',
  'slow5',
  'ramp',
  'spikes',
  'delay50',
  'delay250',
  'masked',
  'cross',
  'corrupt',
  'relapse',
  'deaf',
  'cold',
  'coldbad',
  'raildown',
  'outage',
  'brownout',
  'blink',
  'common',
]

/** Share of the run after which the fault begins and ends. */
const FAULT_FROM = 0.25
const FAULT_TO = 0.65

/**
 * @param nominalFactor what the policy is told of the rate over the true one; null tells it nothing
 */
export function pathDescriptions(nominalFactor: number | null, paths = PATHS, sessions = SESSIONS): PathDescription[] {
  return Array.from({ length: paths }, (_, path) => ({
    id: `prefill/efa${railOf(path)}>decode-${path % 2}/efa${railOf(path)}`,
    pool: `decode-${path % 2}`,
    maxSessions: sessions,
    softCapacityFraction: 0.75,
    riskGroups: [`nic:efa${railOf(path)}`, `host:decode-${path % 2}`],
    pathClass: 'efa',
    ...(nominalFactor === null
      ? {}
      : { nominal: { fixedUs: START_US, bytesPerSecond: Math.round(PATH_BYTES_PER_US * 1e6 * nominalFactor) } }),
  }))
}

/** The fault of a run, on a path that the seed draws. */
export function faultsOf(fault: ScenarioFault, seed: number, spanUs: number, paths = PATHS): FaultInterval[] {
  const fromUs = Math.round(spanUs * FAULT_FROM)
  const toUs = Math.round(spanUs * FAULT_TO)
  const drawn = integerAt(streamOf(seed, 'faulty-path'), 0, paths)
  const all = Array.from({ length: paths }, (_, path) => path)
  switch (fault) {
    case 'none':
      return []
    case 'rail':
      return [{ kind: 'slow20', paths: all.filter((path) => railOf(path) === railOf(drawn)), fromUs, toUs }]
    case 'raildown':
      return [{ kind: 'blackhole', paths: all.filter((path) => railOf(path) === railOf(drawn)), fromUs, toUs }]
    case 'outage':
      return [{ kind: 'blackhole', paths: all.filter((path) => (path + drawn) % 4 !== 0), fromUs, toUs }]
    case 'brownout':
      return [{ kind: 'stall', paths: all, fromUs, toUs }]
    case 'common':
      return [{ kind: 'slow50', paths: all, fromUs, toUs }]
    case 'cross':
      // A quarter period apart, so that they do not breathe together.
      return [0, 2, 4, 6].slice(0, paths / 2).map((step) => ({
        kind: fault,
        paths: [(drawn + step) % paths],
        fromUs: fromUs + step * 500_000,
        toUs,
      }))
    case 'relapse': {
      const halfUs = Math.round((fromUs + toUs) / 2)
      return [
        { kind: 'blackhole', paths: [drawn], fromUs, toUs: halfUs },
        { kind: 'slow20', paths: [drawn], fromUs: halfUs, toUs },
      ]
    }
    case 'cold':
    case 'coldbad': {
      // Paths are known in the order of their numbers, so only the last can come late.
      const absent: FaultInterval = { kind: 'absent', paths: [paths - 1], fromUs: 0, toUs: fromUs }
      return fault === 'cold' ? [absent] : [absent, { kind: 'slow20', paths: [paths - 1], fromUs, toUs }]
    }
    default:
      return [{ kind: fault, paths: [drawn], fromUs, toUs }]
  }
}

export function railOf(path: number): number {
  return Math.floor(path / 2)
}
