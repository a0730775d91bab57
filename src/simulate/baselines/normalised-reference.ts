// Baseline: the published rules, fed latency over the idle path's latency (1 reads as 4 ms) instead of raw milliseconds, which
// no transfer of these sizes can keep. It shows what the rules are worth once size is out of the way.

import type { Policy, Sample } from '../../policy/policy.js'
import { createReferencePolicy } from '../../policy/reference/profile.js'
import { PATH_BYTES_PER_US, START_US } from '../scenario.js'

const IDLE_READS_AS_US = 4000

export function createNormalisedReference(): Policy {
  const reference = createReferencePolicy()
  const observe = reference.observe.bind(reference)
  return Object.assign(reference, {
    profile: 'reference-normalised',
    observe: (sample: Sample, nowUs: number) => {
      const idleUs = START_US + sample.bytes / PATH_BYTES_PER_US
      return observe({ ...sample, totalUs: Math.round((sample.totalUs / idleUs) * IDLE_READS_AS_US) }, nowUs)
    },
  })
}
