// The evaluation stands on the links: they must serve at their rate, in their order, and lose nothing.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DISCIPLINES, type Discipline, Link } from '../../src/simulate/link.js'

interface Job {
  readonly name: number
  readonly bytes: number
}

/** Runs jobs (arrival, bytes) to the end; when each was done. */
function doneTimes(discipline: Discipline, bytesPerUs: number, jobs: readonly (readonly [number, number])[]): number[] {
  const link = new Link<Job>(discipline, bytesPerUs)
  const done: number[] = jobs.map(() => -1)
  let next = 0
  for (;;) {
    const arrivesUs = jobs[next]?.[0] ?? Number.POSITIVE_INFINITY
    const servedUs = link.nextUs()
    if (arrivesUs === Number.POSITIVE_INFINITY && servedUs === Number.POSITIVE_INFINITY) return done
    if (servedUs <= arrivesUs) {
      for (const job of link.finish(servedUs)) done[job.name] = servedUs
      continue
    }
    link.add({ name: next, bytes: jobs[next]![1] }, arrivesUs)
    next++
  }
}

const jobsArbitrary = fc
  .array(fc.tuple(fc.integer({ min: 0, max: 100_000 }), fc.integer({ min: 1, max: 1_000_000 })), {
    minLength: 1,
    maxLength: 40,
  })
  .map((jobs) => jobs.sort((a, b) => a[0] - b[0]))

describe.each(DISCIPLINES)('a %s link', (discipline) => {
  it('conserves work: its busy periods are as long as their bytes need', () => {
    fc.assert(
      fc.property(jobsArbitrary, (jobs) => {
        const rate = 100
        let freeUs = 0
        for (const [arrivesUs, bytes] of jobs) freeUs = Math.max(freeUs, arrivesUs) + bytes / rate
        const last = Math.max(...doneTimes(discipline, rate, jobs))
        expect(Math.abs(last - freeUs)).toBeLessThanOrEqual(jobs.length)
      }),
    )
  })

  it('finishes every job once, and none before its own bytes could have moved', () => {
    fc.assert(
      fc.property(jobsArbitrary, (jobs) => {
        const done = doneTimes(discipline, 100, jobs)
        jobs.forEach(([arrivesUs, bytes], i) => {
          expect(done[i]! + 1).toBeGreaterThanOrEqual(arrivesUs + bytes / 100)
        })
      }),
    )
  })
})

describe('fifo', () => {
  it('serves in the order of arrival, whatever the sizes', () => {
    fc.assert(
      fc.property(jobsArbitrary, (jobs) => {
        const done = doneTimes('fifo', 100, jobs)
        for (let i = 1; i < done.length; i++) expect(done[i]!).toBeGreaterThanOrEqual(done[i - 1]!)
      }),
    )
  })

  it('makes a small job wait for a large one before it', () => {
    expect(
      doneTimes('fifo', 100, [
        [0, 100_000],
        [10, 100],
      ]),
    ).toEqual([1000, 1001])
  })
})

describe('fair', () => {
  it('gives equal shares: a small job overtakes a large one at half the rate', () => {
    // Alone until 10 us (1,000 bytes), then half each: the small one needs 2 us, the large one ends when all bytes have moved.
    expect(
      doneTimes('fair', 100, [
        [0, 100_000],
        [10, 100],
      ]),
    ).toEqual([1001, 12])
  })

  it('finishes equal jobs that came together together', () => {
    const jobs = Array.from({ length: 5 }, () => [0, 10_000] as const)
    expect(doneTimes('fair', 100, jobs)).toEqual([500, 500, 500, 500, 500])
  })
})

describe('mixed', () => {
  it('shares between its four queues and keeps order inside one', () => {
    // Jobs 0..3 head the four queues; job 4 waits behind job 0, then has a quarter share of what is left.
    const done = doneTimes('mixed', 100, [
      [0, 1000],
      [0, 4000],
      [0, 4000],
      [0, 4000],
      [0, 100],
    ])
    expect(done[0]).toBe(40)
    expect(done[4]).toBe(44)
    expect(done.slice(1, 4)).toEqual([131, 131, 131])
  })
})

describe('a link whose rate changes', () => {
  it('serves what is left at the new rate, and nothing at rate 0', () => {
    const link = new Link<Job>('fifo', 100)
    link.add({ name: 0, bytes: 10_000 }, 0)
    link.setRate(20, 50)
    expect(link.nextUs()).toBe(50 + 5000 / 20)
    link.setRate(0, 60)
    expect(link.nextUs()).toBe(Number.POSITIVE_INFINITY)
    link.setRate(4800, 1000)
    expect(link.nextUs()).toBe(1001)
  })

  it('voids the completion it announced before', () => {
    const link = new Link<Job>('fair', 100)
    link.add({ name: 0, bytes: 10_000 }, 0)
    const { version } = link
    link.setRate(50, 10)
    expect(link.version).not.toBe(version)
    expect(link.finish(100)).toEqual([])
  })
})

describe('a job that gives up', () => {
  it('leaves a fair link to the others and reports what it had been served', () => {
    const link = new Link<Job>('fair', 100)
    const leaver = { name: 0, bytes: 10_000 }
    link.add(leaver, 0)
    link.add({ name: 1, bytes: 10_000 }, 0)
    expect(link.remove(leaver, 100)).toBe(5000)
    expect(link.nextUs()).toBe(150)
    expect(link.carried).toBe(1)
  })

  it('frees its turn in a queue it was waiting in, having been served nothing', () => {
    const link = new Link<Job>('fifo', 100)
    const waiting = { name: 1, bytes: 10_000 }
    link.add({ name: 0, bytes: 10_000 }, 0)
    link.add(waiting, 0)
    link.add({ name: 2, bytes: 10_000 }, 0)
    expect(link.remove(waiting, 50)).toBe(0)
    link.finish(100)
    expect(link.nextUs()).toBe(200)
  })

  it('is not found twice', () => {
    const link = new Link<Job>('fair', 100)
    const job = { name: 0, bytes: 100 }
    link.add(job, 0)
    link.remove(job, 0)
    expect(link.remove(job, 0)).toBe(0)
    expect(link.carried).toBe(0)
  })
})

it('a link that goes down gives back everything it carried, in the order of service', () => {
  const link = new Link<Job>('fifo', 100)
  for (let name = 0; name < 3; name++) link.add({ name, bytes: 1000 }, 0)
  expect(link.clear(5).map((job) => job.name)).toEqual([0, 1, 2])
  expect(link.carried).toBe(0)
  expect(link.nextUs()).toBe(Number.POSITIVE_INFINITY)
})
