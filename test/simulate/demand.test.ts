// The requests of a run: the load asked for, the shares and deadlines stated, and another run with another seed.

import { describe, expect, it } from 'vitest'
import { SeamError } from '../../src/errors.js'
import { DEMAND_CLASSES, type DemandOptions, demandOf } from '../../src/simulate/demand.js'
import { generatedTrace } from '../../src/trace/generated.js'

const options: DemandOptions = {
  trace: generatedTrace({ seed: 5, requests: 3000 }),
  tickMs: 0,
  seed: 1,
  requests: 4000,
  bytesPerToken: 70_272,
  load: 0.5,
  capacityBytesPerUs: 100_000,
  pathBytesPerUs: 12_500,
  startUs: 200,
}

describe('demandOf', () => {
  it.each([0.3, 0.9])('offers the bytes over the time that makes load %d', (load) => {
    const { bytes, arrivalUs } = demandOf({ ...options, load })
    const offered = bytes.reduce((a, b) => a + b, 0) / (arrivalUs.at(-1)! - arrivalUs[0]!)
    expect(offered / options.capacityBytesPerUs).toBeCloseTo(load, 3)
  })

  it('comes in order of arrival, from 0', () => {
    const { arrivalUs } = demandOf({ ...options, tickMs: 3000 })
    expect(arrivalUs[0]).toBe(0)
    for (let i = 1; i < arrivalUs.length; i++) expect(arrivalUs[i]!).toBeGreaterThanOrEqual(arrivalUs[i - 1]!)
  })

  it('draws the classes at their shares and dates each request by its class and bytes', () => {
    const { classOf, bytes, arrivalUs, deadlineUs, count } = demandOf(options)
    DEMAND_CLASSES.forEach(({ share, deadlineFactor }, place) => {
      const members = Array.from({ length: count }, (_, i) => i).filter((i) => classOf[i] === place)
      expect(members.length / count).toBeGreaterThan(share - 0.03)
      expect(members.length / count).toBeLessThan(share + 0.03)
      const i = members[0]!
      const idleUs = 200 + bytes[i]! / 12_500
      expect(deadlineUs[i]! - arrivalUs[i]!).toBe(20_000 + Math.round(deadlineFactor * idleUs))
    })
  })

  it('is the same for the same seed, and begins elsewhere with other classes for another', () => {
    expect(demandOf(options)).toEqual(demandOf(options))
    const other = demandOf({ ...options, seed: 2 })
    expect(other.bytes[0]).not.toBe(demandOf(options).bytes[0])
    expect(other.classOf).not.toEqual(demandOf(options).classOf)
  })

  it.each([
    ['trace', { trace: [] }],
    ['load', { load: 0 }],
    ['requests', { requests: 0 }],
  ])('refuses an empty or senseless %s', (_name, change) => {
    expect(() => demandOf({ ...options, ...change })).toThrow(SeamError)
  })
})
