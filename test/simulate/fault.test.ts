// Ground truth: each fault does what its name says, on its paths, while it lasts.

import { describe, expect, it } from 'vitest'
import { SeamError } from '../../src/errors.js'
import { blamable, changesOf, type FaultInterval, type FaultKind, SOUND, truthAt } from '../../src/simulate/fault.js'
import { faultsOf, railOf } from '../../src/simulate/scenario.js'

const S = 1_000_000
const on = (kind: FaultKind): FaultInterval[] => [{ kind, paths: [2], fromUs: 10 * S, toUs: 70 * S }]

describe('truthAt', () => {
  it.each([
    ['slow50', { rateShare: 0.5 }],
    ['slow20', { rateShare: 0.2 }],
    ['slow5', { rateShare: 0.05 }],
    ['stall', { stallShare: 0.1 }],
    ['blackhole', { refuses: true }],
    ['corrupt', { corruptShare: 0.1 }],
    ['spikes', { spikeShare: 0.2 }],
    ['delay50', { delayUs: 50_000 }],
    ['delay250', { delayUs: 250_000 }],
    ['masked', { payloadShare: 0.2 }],
    ['deaf', { unmeasured: true }],
    ['absent', { absent: true }],
  ] as const)('%s holds from its beginning to its end, on its path alone', (kind, effect) => {
    const faults = on(kind)
    expect(truthAt(faults, 2, 10 * S)).toEqual({ ...SOUND, ...effect })
    expect(truthAt(faults, 2, 70 * S - 1)).toEqual({ ...SOUND, ...effect })
    expect(truthAt(faults, 2, 10 * S - 1)).toEqual(SOUND)
    expect(truthAt(faults, 2, 70 * S)).toEqual(SOUND)
    expect(truthAt(faults, 3, 30 * S)).toEqual(SOUND)
  })

  it('flap refuses for 10 s and works for 10 s, in turn', () => {
    const refuses = [10, 19, 20, 29, 30, 45, 69].map((s) => truthAt(on('flap'), 2, s * S).refuses)
    expect(refuses).toEqual([true, true, false, false, true, false, false])
  })

  it('blink refuses for 2 s and works for 2 s, in turn', () => {
    expect([10, 11.9, 12, 13.9, 14].map((s) => truthAt(on('blink'), 2, s * S).refuses)).toEqual([
      true,
      true,
      false,
      false,
      true,
    ])
  })

  it('cross traffic takes half of the rate for 2 s of every 4', () => {
    const shares = [10, 11.9, 12, 13.9, 14].map((s) => truthAt(on('cross'), 2, s * S).rateShare)
    expect(shares).toEqual([0.5, 0.5, 1, 1, 0.5])
  })

  it('ramp loses a percent a second and stops at a fifth', () => {
    const ramp: FaultInterval[] = [{ kind: 'ramp', paths: [0], fromUs: 0, toUs: 200 * S }]
    expect(truthAt(ramp, 0, 0).rateShare).toBeCloseTo(0.99)
    expect(truthAt(ramp, 0, 49 * S).rateShare).toBeCloseTo(0.5)
    expect(truthAt(ramp, 0, 150 * S).rateShare).toBe(0.2)
  })

  it('adds up faults that overlap', () => {
    const faults = [...on('slow50'), ...on('slow20'), ...on('stall'), ...on('delay50'), ...on('delay250')]
    expect(truthAt(faults, 2, 30 * S)).toEqual({ ...SOUND, rateShare: 0.2, stallShare: 0.1, delayUs: 250_000 })
  })
})

describe('changesOf', () => {
  it('lists every moment at which a truth changes, once and in order', () => {
    expect(changesOf([...on('flap'), ...on('slow20')])).toEqual([10, 20, 30, 40, 50, 60, 70].map((s) => s * S))
    for (const kind of ['ramp', 'cross', 'flap', 'blink'] as const) {
      const times = changesOf(on(kind))
      for (const [i, atUs] of times.slice(1).entries()) {
        expect(truthAt(on(kind), 2, times[i]!)).toEqual(truthAt(on(kind), 2, atUs - 1))
      }
    }
  })

  it('refuses a fault that ends before it begins', () => {
    expect(() => changesOf([{ kind: 'stall', paths: [0], fromUs: 5, toUs: 5 }])).toThrow(SeamError)
  })
})

describe('blamable', () => {
  it('holds during a fault and its grace, and never for a path that is merely not measured', () => {
    expect(blamable(on('slow20'), 2, 9 * S, 5 * S)).toBe(false)
    expect(blamable(on('slow20'), 2, 74 * S, 5 * S)).toBe(true)
    expect(blamable(on('slow20'), 2, 75 * S, 5 * S)).toBe(false)
    expect(blamable(on('deaf'), 2, 30 * S, 5 * S)).toBe(false)
  })
})

describe('faultsOf', () => {
  it('puts a rail fault on both paths of one rail, and a common one on all', () => {
    for (let seed = 0; seed < 20; seed++) {
      const [rail] = faultsOf('rail', seed, 100 * S)
      expect(rail!.paths).toHaveLength(2)
      expect(new Set(rail!.paths.map(railOf)).size).toBe(1)
      expect(faultsOf('common', seed, 100 * S)[0]!.paths).toHaveLength(8)
    }
  })

  it('strikes different paths with different seeds, the same path with the same', () => {
    const struck = Array.from({ length: 40 }, (_, seed) => faultsOf('stall', seed, S)[0]!.paths[0]!)
    expect(new Set(struck).size).toBeGreaterThan(4)
    expect(faultsOf('stall', 3, S)).toEqual(faultsOf('stall', 3, S))
    expect(faultsOf('none', 3, S)).toEqual([])
  })
})
