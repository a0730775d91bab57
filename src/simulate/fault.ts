// What is truly wrong with a path at a time: the ground truth that a policy can only guess at.

import { SeamError } from '../errors.js'

/**
 *   slow50, slow20, slow5  carries at that percentage of its rate
 *   stall       one transfer in ten never moves a byte and is given up by its initiator
 *   blackhole   refuses every transfer within a millisecond; what was in flight fails
 *   flap        10 s refused, 10 s good, in turn
 *   blink       2 s refused, 2 s good, in turn
 *   ramp        loses 1 % of its rate every second, down to 20 %
 *   corrupt     one transfer in ten arrives with a wrong digest
 *   spikes      one transfer in five starts 50 ms late
 *   delay50, delay250  every start is that many milliseconds late: a detour, or a loss that a timeout repairs
 *   masked      carries payload at a fifth of its rate, and probes as if nothing were wrong
 *   cross       shares with traffic that nobody here sees: 2 s at half its rate, 2 s alone, in turn
 *   deaf        works, but its outcomes are never measured
 *   absent      is not there yet: nobody knows of it
 */
export type FaultKind =
  | 'slow50'
  | 'slow20'
  | 'slow5'
  | 'stall'
  | 'blackhole'
  | 'flap'
  | 'blink'
  | 'ramp'
  | 'corrupt'
  | 'spikes'
  | 'delay50'
  | 'delay250'
  | 'masked'
  | 'cross'
  | 'deaf'
  | 'absent'

export interface FaultInterval {
  readonly kind: FaultKind
  readonly paths: readonly number[]
  readonly fromUs: number
  readonly toUs: number
}

/** One path at one time. A sound path is `SOUND`. */
export interface PathTruth {
  /** Share of the nominal rate, above 0 and at most 1. */
  readonly rateShare: number
  readonly refuses: boolean
  /** Share of transfers, 0..1. */
  readonly stallShare: number
  /** Share of transfers, 0..1. */
  readonly corruptShare: number
  /** Share of transfers that start SPIKE_US late, 0..1. */
  readonly spikeShare: number
  /** By which every start is late, microseconds. */
  readonly delayUs: number
  /** Share of its rate that payload gets, above 0 and at most 1. */
  readonly payloadShare: number
  readonly unmeasured: boolean
  readonly absent: boolean
}

/** How late a start is under `spikes`, microseconds. */
export const SPIKE_US = 50_000

export const SOUND: PathTruth = {
  rateShare: 1,
  refuses: false,
  stallShare: 0,
  corruptShare: 0,
  spikeShare: 0,
  delayUs: 0,
  payloadShare: 1,
  unmeasured: false,
  absent: false,
}

const FLAP_US = 10_000_000
const BLINK_US = 2_000_000
const CROSS_US = 2_000_000
const RAMP_STEP_US = 1_000_000
/** Of faults that change while they last. */
const STEP_US: Readonly<Partial<Record<FaultKind, number>>> = {
  flap: FLAP_US,
  blink: BLINK_US,
  ramp: RAMP_STEP_US,
  cross: CROSS_US,
}
const RAMP_FLOOR = 0.2
const FAULTY_SHARE = 0.1

/** The truth of a path at a time; overlapping faults add up, the slower rate and the longer delay win. */
export function truthAt(faults: readonly FaultInterval[], path: number, atUs: number): PathTruth {
  let truth = SOUND
  for (const fault of faults) {
    if (atUs < fault.fromUs || atUs >= fault.toUs || !fault.paths.includes(path)) continue
    truth = worse(truth, effect(fault.kind, atUs - fault.fromUs))
  }
  return truth
}

/** Every time at which some truth changes, in order, each once. */
export function changesOf(faults: readonly FaultInterval[]): number[] {
  const times = new Set<number>()
  for (const { kind, fromUs, toUs } of faults) {
    const stepUs = STEP_US[kind] ?? toUs - fromUs
    if (!(toUs > fromUs)) {
      throw new SeamError(
        'KVSEAM_INVALID_ARGUMENT',
        { field: 'toUs', fromUs, toUs },
        'a fault must end after it begins',
      )
    }
    for (let atUs = fromUs; atUs < toUs; atUs += stepUs) times.add(atUs)
    times.add(toUs)
  }
  return [...times].sort((a, b) => a - b)
}

/** True when a path is or was faulty within `graceUs` before `atUs`, so that distrust of it has a cause. */
export function blamable(faults: readonly FaultInterval[], path: number, atUs: number, graceUs: number): boolean {
  return faults.some(
    ({ kind, fromUs, toUs, paths }) =>
      atUs >= fromUs && atUs < toUs + graceUs && paths.includes(path) && kind !== 'deaf' && kind !== 'absent',
  )
}

function effect(kind: FaultKind, ageUs: number): PathTruth {
  switch (kind) {
    case 'slow50':
      return { ...SOUND, rateShare: 0.5 }
    case 'slow20':
      return { ...SOUND, rateShare: 0.2 }
    case 'slow5':
      return { ...SOUND, rateShare: 0.05 }
    case 'stall':
      return { ...SOUND, stallShare: FAULTY_SHARE }
    case 'blackhole':
      return { ...SOUND, refuses: true }
    case 'flap':
      return { ...SOUND, refuses: Math.floor(ageUs / FLAP_US) % 2 === 0 }
    case 'blink':
      return { ...SOUND, refuses: Math.floor(ageUs / BLINK_US) % 2 === 0 }
    case 'ramp':
      return { ...SOUND, rateShare: Math.max(RAMP_FLOOR, 1 - 0.01 * (1 + Math.floor(ageUs / RAMP_STEP_US))) }
    case 'corrupt':
      return { ...SOUND, corruptShare: FAULTY_SHARE }
    case 'spikes':
      return { ...SOUND, spikeShare: 0.2 }
    case 'delay50':
      return { ...SOUND, delayUs: 50_000 }
    case 'delay250':
      return { ...SOUND, delayUs: 250_000 }
    case 'masked':
      return { ...SOUND, payloadShare: 0.2 }
    case 'cross':
      return { ...SOUND, rateShare: Math.floor(ageUs / CROSS_US) % 2 === 0 ? 0.5 : 1 }
    case 'deaf':
      return { ...SOUND, unmeasured: true }
    case 'absent':
      return { ...SOUND, absent: true }
  }
}

function worse(a: PathTruth, b: PathTruth): PathTruth {
  return {
    rateShare: Math.min(a.rateShare, b.rateShare),
    refuses: a.refuses || b.refuses,
    stallShare: Math.min(1, a.stallShare + b.stallShare),
    corruptShare: Math.min(1, a.corruptShare + b.corruptShare),
    spikeShare: Math.min(1, a.spikeShare + b.spikeShare),
    delayUs: Math.max(a.delayUs, b.delayUs),
    payloadShare: Math.min(a.payloadShare, b.payloadShare),
    unmeasured: a.unmeasured || b.unmeasured,
    absent: a.absent || b.absent,
  }
}
