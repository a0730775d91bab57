// Delivery to JavaScript: one wake-up a spell of work, the event loop's turn in between, and no record that waits for ever.

import { describe, expect, it } from 'vitest'
import { type Binding, FLAG, RECORD } from '../../src/native/binding.js'
import { Completions } from '../../src/native/completions.js'

/** A native side that has `waiting` records of slot 0 and writes down what it is asked. */
class NativeSide {
  waiting = 0
  readonly asked: string[] = []
  /** Called within each word "wake me again". */
  onAcknowledge: () => void = () => {}

  /** Settled transfers of nobody: what is in them does not matter here. */
  drain(_agent: number, records: Float64Array): number {
    const taken = Math.min(this.waiting, records.length / RECORD.fields)
    this.asked.push(`drain ${taken}`)
    this.waiting -= taken
    for (let i = 0; i < taken; i++) records[i * RECORD.fields + RECORD.flags] = FLAG.settled
    return taken
  }

  acknowledgeWake(): void {
    this.asked.push('acknowledge')
    this.onAcknowledge()
  }
}

function open(): { side: NativeSide; completions: Completions } {
  const side = new NativeSide()
  const completions = new Completions(side as unknown as Binding, 'a', () => {})
  completions.attach(1)
  return { side, completions }
}

const turn = async (): Promise<void> => await new Promise((resolve) => setImmediate(resolve))

describe('delivery', () => {
  it('takes what waits at once and asks to be woken only when a look finds nothing', async () => {
    const { side, completions } = open()
    side.waiting = 3
    completions.onWake()
    expect(side.asked).toEqual(['drain 3'])
    side.waiting = 2 // while the first were being worked on
    await turn()
    expect(side.asked).toEqual(['drain 3', 'drain 2'])
    await turn()
    expect(side.asked).toEqual(['drain 3', 'drain 2', 'drain 0', 'acknowledge', 'drain 0'])
    await turn()
    expect(side.asked).toHaveLength(5)
  })

  it('sees a record that comes between the last look and the word that wakes', async () => {
    const { side, completions } = open()
    side.onAcknowledge = () => {
      side.waiting = 1
      side.onAcknowledge = () => {}
    }
    completions.onWake()
    await turn()
    expect(side.asked).toEqual(['drain 0', 'drain 0', 'acknowledge', 'drain 1'])
    await turn()
    expect(side.asked.slice(4)).toEqual(['drain 0', 'acknowledge', 'drain 0'])
    expect(side.waiting).toBe(0)
  })

  it('leaves the event loop its turns, however much comes', async () => {
    const { side, completions } = open()
    side.waiting = Number.MAX_SAFE_INTEGER
    completions.onWake()
    for (let i = 0; i < 10; i++) await turn()
    // A drain a turn, each of one batch.
    expect(side.asked).toHaveLength(11)
    expect(new Set(side.asked)).toEqual(new Set(['drain 256']))
    completions.detach()
    await turn()
    await turn()
    expect(side.asked).toHaveLength(11)
  })

  it('looks once a turn when a wake-up comes while it looks by itself', async () => {
    const { side, completions } = open()
    side.waiting = 1
    completions.onWake()
    completions.onWake()
    completions.onWake()
    side.asked.length = 0
    side.waiting = 5
    await turn()
    expect(side.asked).toEqual(['drain 5'])
  })
})
