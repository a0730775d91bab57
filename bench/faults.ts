// What the fault layer costs: nothing while nothing is armed, little while rules are armed that never match.
//
// One path, one block a transfer, a window of 32: the message rate is where a cost for each operation would show. The
// sides take turns round by round, since on a shared machine the speed of everything drifts.

import { pathToFileURL } from 'node:url'
import { Agent } from '../src/native/agent.js'
import { type Binding, binding, OPERATION } from '../src/native/binding.js'

export interface FaultCost {
  /** Nanoseconds a transfer, one value a round. */
  readonly neverArmed: readonly number[]
  readonly disarmed: readonly number[]
  readonly armedElsewhere: readonly number[]
}

const BLOCK = 4096
const WINDOW = 32

export async function measureFaultCost({ rounds = 25, transfers = 20_000 } = {}): Promise<FaultCost> {
  const native = binding()
  const never = await Lane.open(native)
  const disarmed = await Lane.open(native)
  const elsewhere = await Lane.open(native)
  const plans = [plan(native, '*=drop'), plan(native, 'nobody=drop')] as const
  try {
    native.armFaults(disarmed.reader.handle, plans[0], false)
    native.retireFaults(plans[0])
    native.disarmFaults(disarmed.reader.handle, plans[0])
    native.armFaults(elsewhere.reader.handle, plans[1], false)
    const sides = [never, disarmed, elsewhere]
    for (const side of sides) await side.run(transfers) // to warm up
    const samples = sides.map(() => [] as number[])
    for (let round = 0; round < rounds; round++) {
      const order = round % 2 === 0 ? [0, 1, 2] : [2, 1, 0]
      for (const i of order) samples[i]!.push(await sides[i]!.run(transfers))
    }
    return { neverArmed: samples[0]!, disarmed: samples[1]!, armedElsewhere: samples[2]! }
  } finally {
    for (const lane of [never, disarmed, elsewhere]) await lane.close()
    for (const one of plans) native.freeFaults(one)
  }
}

function plan(native: Binding, text: string): number {
  const made = native.makeFaultPlan(`seed=1;${text}`)
  if ('error' in made) throw new Error(made.error.message)
  return made.plan
}

/** Two agents joined by one path, without the policy; permits are minted by hand, which only this repository can do. */
class Lane {
  readonly source: Agent
  readonly reader: Agent
  readonly #native: Binding
  readonly #gate: number
  readonly #path: { index: number; key: number }
  readonly #lists: readonly [local: number, remote: number]

  private constructor(
    native: Binding,
    gate: number,
    source: Agent,
    reader: Agent,
    path: { index: number; key: number },
    lists: readonly [number, number],
  ) {
    this.#native = native
    this.#gate = gate
    this.source = source
    this.reader = reader
    this.#path = path
    this.#lists = lists
  }

  static async open(native: Binding): Promise<Lane> {
    const gate = native.openGate()
    const source = new Agent(gate, 'mock', 'prefill-0')
    const reader = new Agent(gate, 'mock', 'decode-0')
    const from = source.allocate(BLOCK, { name: 'kv' })
    const to = reader.allocate(BLOCK, { name: 'kv' })
    const peer = await reader.connect(source.metadata())
    const lists = [to.blocks(BLOCK).listFor(reader), from.blocks(BLOCK).listFor(reader)] as const
    return new Lane(native, gate, source, reader, reader.path(0, peer, 0), lists)
  }

  async run(transfers: number): Promise<number> {
    const start = process.hrtime.bigint()
    let left = transfers
    const worker = async (): Promise<void> => {
      while (left-- > 0) {
        const permit = this.#native.mint(this.#gate, this.#path.key, OPERATION.read, BLOCK, 60e9)
        const [local, remote] = this.#lists
        await this.reader.postNumbers(permit, this.#path.index, OPERATION.read, local, remote, 1, 30e9).settled
      }
    }
    await Promise.all(Array.from({ length: WINDOW }, worker))
    return Number(process.hrtime.bigint() - start) / transfers
  }

  async close(): Promise<void> {
    await this.reader.close()
    await this.source.close()
    this.#native.closeGate(this.#gate)
  }
}

function median(samples: readonly number[]): number {
  return [...samples].sort((a, b) => a - b)[samples.length >> 1]!
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const cost = await measureFaultCost()
  const ratio = (side: readonly number[]): number => median(side.map((ns, round) => ns / cost.neverArmed[round]!))
  console.log(`mock, 1 path, ${BLOCK} B, window ${WINDOW}: median ns a transfer, and its ratio to never armed`)
  console.log(`  never armed             ${median(cost.neverArmed).toFixed(0)}`)
  console.log(`  armed once, disarmed    ${median(cost.disarmed).toFixed(0)}  ${ratio(cost.disarmed).toFixed(3)}`)
  console.log(
    `  armed, no rule matches  ${median(cost.armedElsewhere).toFixed(0)}  ${ratio(cost.armedElsewhere).toFixed(3)}`,
  )
}
