// What knowing a delay from a slowdown is worth when a path starts everything a quarter of a second late.

import { expect, it } from 'vitest'
import { createDefaultPolicy } from '../../src/policy/default/profile.js'
import { DEFAULT_SETTINGS } from '../../src/policy/settings.js'
import { run } from './run.js'

it.each(['fifo', 'fair'] as const)('a path that starts everything late makes fewer requests late, %s', (discipline) => {
  const onTime = (ablate: readonly 'added-delay'[], seed: number) =>
    run({
      policy: createDefaultPolicy('default', { ...DEFAULT_SETTINGS, ablate }),
      fault: 'delay250',
      load: 0.6,
      discipline,
      seed,
    }).onTime
  const total = (ablate: readonly 'added-delay'[]) => [1, 2, 3].reduce((sum, seed) => sum + onTime(ablate, seed), 0)
  expect(total([])).toBeGreaterThan(total(['added-delay']))
})
