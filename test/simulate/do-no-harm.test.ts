// The first law of the default profile: with nothing wrong, no path is ever taken out of service, however the links serve,
// however high the load, and however wrong the rates that somebody configured. The wide table is `npm run bench:policy`.

import { describe, expect, it } from 'vitest'
import { createDefaultPolicy } from '../../src/policy/default/profile.js'
import { DISCIPLINES } from '../../src/simulate/link.js'
import { run } from './run.js'

const LOADS = [0.3, 0.6, 0.9]
const RATES_TOLD = [0.7, 1, 1.3]
/** A transfer may wait or be sent at once, and be given up late or at its deadline, which makes timeouts of mere load. */
const WAYS = [
  { mayQueue: true, patience: 4 },
  { mayQueue: true, patience: 1 },
  { mayQueue: false, patience: 4 },
  { mayQueue: false, patience: 1 },
]

describe.each(DISCIPLINES)('no fault, %s links', (discipline) => {
  it.each(LOADS)('nothing is quarantined at load %d', (load) => {
    for (const nominalFactor of RATES_TOLD) {
      for (const way of WAYS) {
        const score = run({ policy: createDefaultPolicy(), fault: 'none', discipline, load, nominalFactor, ...way })
        const which = `rate told x ${nominalFactor}, ${JSON.stringify(way)}`
        expect(score.falseQuarantines, which).toBe(0)
        expect(score.falseQuarantineSeconds, which).toBe(0)
      }
    }
  })
})

it('the same runs do quarantine when there is a reason, so that the law is not kept by doing nothing', () => {
  const score = run({ policy: createDefaultPolicy(), fault: 'blackhole', load: 0.6 })
  expect(score.detectSeconds).not.toBeNull()
  expect(score.worstPathLosses).toBeLessThanOrEqual(5)
})

it('a path that was told nothing about its rate is not taken out for it', () => {
  for (const load of LOADS) {
    const score = run({ policy: createDefaultPolicy(), fault: 'none', discipline: 'fifo', load, nominalFactor: null })
    expect(score.falseQuarantines, `load ${load}`).toBe(0)
  }
})
