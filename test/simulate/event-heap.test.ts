// The calendar must never let events out of order, whatever order they came in.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { EventHeap } from '../../src/simulate/event-heap.js'

function drained(heap: EventHeap): { atUs: number; a: number }[] {
  const event = { atUs: 0, kind: 0, a: 0, b: 0 }
  const out: { atUs: number; a: number }[] = []
  while (heap.size > 0) {
    heap.popInto(event)
    out.push({ atUs: event.atUs, a: event.a })
  }
  return out
}

describe('EventHeap', () => {
  it('gives events back by time, and in the order of entry when times are equal', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 200 }), (times) => {
        const heap = new EventHeap()
        times.forEach((atUs, i) => {
          heap.push(atUs, 0, i, 0)
        })
        const expected = times.map((atUs, a) => ({ atUs, a })).sort((x, y) => x.atUs - y.atUs || x.a - y.a)
        expect(drained(heap)).toEqual(expected)
      }),
    )
  })

  it('keeps order while entries and exits alternate', () => {
    fc.assert(
      fc.property(fc.array(fc.option(fc.integer({ min: 0, max: 50 })), { maxLength: 300 }), (steps) => {
        const heap = new EventHeap()
        const model: { atUs: number; a: number }[] = []
        const event = { atUs: 0, kind: 0, a: 0, b: 0 }
        steps.forEach((atUs, i) => {
          if (atUs !== null) {
            heap.push(atUs, 0, i, 0)
            model.push({ atUs, a: i })
            return
          }
          if (model.length === 0) return
          model.sort((x, y) => x.atUs - y.atUs || x.a - y.a)
          expect(heap.nextUs).toBe(model[0]!.atUs)
          heap.popInto(event)
          expect({ atUs: event.atUs, a: event.a }).toEqual(model.shift())
        })
        expect(heap.size).toBe(model.length)
      }),
    )
  })

  it('grows beyond its first room and loses nothing', () => {
    const heap = new EventHeap()
    for (let i = 0; i < 5000; i++) heap.push((i * 7919) % 5000, 1, i, 0)
    const times = drained(heap).map((event) => event.atUs)
    expect(times).toEqual(Array.from({ length: 5000 }, (_, i) => i))
    expect(heap.nextUs).toBe(Number.POSITIVE_INFINITY)
  })
})
