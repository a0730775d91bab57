// What the fault layer costs a transfer: nothing while nothing is armed, little while rules are armed that never match.

import { binding } from '../../src/native/binding.js'
import { figure, type Scenario } from '../figure.js'
import { type ListPair, Pair } from '../pair.js'
import { elapsedNs, interleaved, ratios } from '../rounds.js'

const BLOCK_BYTES = 4096
/** Small transfers, many at once: the rate is where a cost for each of them would show. */
const WINDOW = 32

export const faults: Scenario = {
  name: 'faults',
  title: `Fault layer: nanoseconds a transfer of ${BLOCK_BYTES} B, window ${WINDOW}, never armed, disarmed and armed elsewhere`,
  async run(effort) {
    const lanes = [await Lane.open(), await Lane.open(), await Lane.open()] as const
    const transfers = effort.quick ? 2000 : 20_000
    try {
      lanes[1].arm('*=drop')()
      const disarm = lanes[2].arm('nobody=drop')
      const samples = await interleaved(
        {
          never: () => lanes[0].nsPerTransfer(transfers),
          disarmed: () => lanes[1].nsPerTransfer(transfers),
          elsewhere: () => lanes[2].nsPerTransfer(transfers),
        },
        effort.quick ? effort.rounds : 2 * effort.rounds,
      )
      disarm()
      return [
        figure('faults.never-armed', 'ns', samples.never, 'a transfer on an agent that never met a rule'),
        figure('faults.disarmed', 'ns', samples.disarmed, 'on an agent whose rules were disarmed'),
        figure('faults.disarmed.ratio', 'x', ratios(samples.disarmed, samples.never), 'over never armed', {
          atMost: 1.02,
        }),
        figure('faults.elsewhere', 'ns', samples.elsewhere, 'with a rule armed that no path answers to'),
        figure('faults.elsewhere.ratio', 'x', ratios(samples.elsewhere, samples.never), 'over never armed'),
      ]
    } finally {
      for (const lane of lanes) await lane.close()
    }
  },
}

class Lane {
  readonly #pair: Pair
  readonly #lists: readonly ListPair[]

  private constructor(pair: Pair) {
    this.#pair = pair
    this.#lists = pair.apart('kv', BLOCK_BYTES, WINDOW)
  }

  static async open(): Promise<Lane> {
    return new Lane(await Pair.open())
  }

  /** Returns how to disarm again. */
  arm(spec: string): () => void {
    const native = binding()
    const { handle } = this.#pair.reader
    const made = native.makeFaultPlan(`seed=1;${spec}`)
    if ('error' in made) throw new Error(made.error.message)
    native.armFaults(handle, made.plan, false)
    return () => {
      native.retireFaults(made.plan)
      native.disarmFaults(handle, made.plan)
      native.freeFaults(made.plan)
    }
  }

  async nsPerTransfer(transfers: number): Promise<number> {
    let left = transfers
    const start = process.hrtime.bigint()
    const one = async (list: ListPair): Promise<void> => {
      while (left-- > 0) await this.#pair.post(list, this.#pair.mint(BLOCK_BYTES)).settled
    }
    await Promise.all(this.#lists.map(one))
    return elapsedNs(start) / transfers
  }

  async close(): Promise<void> {
    await this.#pair.close()
  }
}
