// Who takes part in the evaluation, by name: the profiles that ship, the baselines, and the oracle.

import { SeamError } from '../errors.js'
import { createDefaultPolicy } from '../policy/default/profile.js'
import type { Policy } from '../policy/policy.js'
import { createReferencePolicy } from '../policy/reference/profile.js'
import { COMPONENTS, type Component, DEFAULT_SETTINGS } from '../policy/settings.js'
import { BinaryHealth } from './baselines/binary-health.js'
import { DeadlineQueue } from './baselines/deadline-queue.js'
import { EnvoyOutlier } from './baselines/envoy-outlier.js'
import { LeastBytes } from './baselines/least-bytes.js'
import { LowestLatency } from './baselines/lowest-latency.js'
import { createNormalisedReference } from './baselines/normalised-reference.js'
import { Oracle } from './baselines/oracle.js'
import { PeakEwma } from './baselines/peak-ewma.js'
import { Prequal } from './baselines/prequal.js'
import { RoundRobin } from './baselines/round-robin.js'
import { TentScore } from './baselines/tent-score.js'
import type { FaultInterval } from './fault.js'

export interface Contender {
  readonly name: string
  /** `rival`: the default profile has to match it. `mark`: shown beside, since it cannot exist or is no rival. */
  readonly role: 'ours' | 'rival' | 'mark'
  /** A fresh policy for one run. */
  readonly create: (seed: number, faults: readonly FaultInterval[]) => Policy
}

export const OURS: readonly Contender[] = [
  { name: 'default', role: 'ours', create: () => createDefaultPolicy() },
  { name: 'isolate', role: 'mark', create: () => createDefaultPolicy('isolate') },
]

export interface Ablated {
  readonly component: Component
  readonly contender: Contender
}

/**
 * The default profile without one component, for each of `names`; all components unless told.
 * @throws SeamError KVSEAM_INVALID_ARGUMENT for a name that is no component
 */
export function withoutComponents(names: readonly string[] = COMPONENTS): Ablated[] {
  return names.map((name) => {
    const component = COMPONENTS.find((each) => each === name)
    if (component === undefined) {
      throw new SeamError(
        'KVSEAM_INVALID_ARGUMENT',
        { field: 'component', value: name, known: COMPONENTS },
        `no component is called ${JSON.stringify(name)}; known: ${COMPONENTS.join(', ')}`,
      )
    }
    const settings = { ...DEFAULT_SETTINGS, ablate: [component] }
    return {
      component,
      contender: { name: `without ${component}`, role: 'ours', create: () => createDefaultPolicy('default', settings) },
    }
  })
}

export const BASELINES: readonly Contender[] = [
  { name: 'round-robin', role: 'rival', create: () => new RoundRobin() },
  { name: 'least-bytes', role: 'rival', create: () => new LeastBytes() },
  { name: 'lowest-latency', role: 'rival', create: () => new LowestLatency() },
  { name: 'binary-health', role: 'rival', create: () => new BinaryHealth() },
  { name: 'p2c-peak-ewma', role: 'rival', create: (seed) => new PeakEwma(seed) },
  { name: 'prequal', role: 'rival', create: (seed) => new Prequal(seed) },
  { name: 'envoy-outlier', role: 'rival', create: (seed) => new EnvoyOutlier(seed) },
  { name: 'tent-score', role: 'rival', create: () => new TentScore() },
  { name: 'reference', role: 'rival', create: () => createReferencePolicy() },
  { name: 'reference-normalised', role: 'rival', create: createNormalisedReference },
  { name: 'deadline-queue', role: 'mark', create: () => new DeadlineQueue() },
  { name: 'oracle', role: 'mark', create: (_seed, faults) => new Oracle(faults) },
]
