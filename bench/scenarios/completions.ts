// How many transfers of next to nothing end a second, and how few wake-ups that takes: the cost of crossing, not of bytes.

import { type Effort, type Figure, figure, type Scenario } from '../figure.js'
import { type ListPair, Pair } from '../pair.js'
import { elapsedNs, interleaved, ratios } from '../rounds.js'

/** One descriptor of this many bytes: a transfer has to move something, and this costs nothing. */
const NOOP_BYTES = 64
const WINDOWS = [1, 32, 1024] as const
/** What can be minted beforehand; a book holds 65,536. What minting costs belongs to the gate's scenario. */
const PERMITS = 60_000

interface Side {
  readonly pair: Pair
  /** One for each lane. */
  readonly lists: readonly ListPair[]
}

export const completions: Scenario = {
  name: 'completions',
  title: 'Completions a second and wake-ups an operation, transfers of 64 bytes',
  async run(effort) {
    const coalesced = await open(false)
    const waking = await open(true)
    try {
      const figures: Figure[] = []
      for (const window of WINDOWS) figures.push(...(await atWindow(window, coalesced, waking, effort)))
      return figures
    } finally {
      await coalesced.pair.close()
      await waking.pair.close()
    }
  },
}

async function open(wakePerCompletion: boolean): Promise<Side> {
  const pair = await Pair.open({ wakePerCompletion, maxTransfers: 4096 })
  return { pair, lists: pair.apart('noop', NOOP_BYTES, Math.max(...WINDOWS)) }
}

async function atWindow(window: number, coalesced: Side, waking: Side, effort: Effort): Promise<Figure[]> {
  const count = effort.quick ? 2_000 : window === 1 ? 20_000 : PERMITS
  const wakes: number[] = []
  const samples = await interleaved(
    {
      coalesced: async () => {
        const before = coalesced.pair.reader.counters.wakes
        const rate = await perSecond(coalesced, window, count)
        wakes.push((coalesced.pair.reader.counters.wakes - before) / count)
        return rate
      },
      waking: () => perSecond(waking, window, count),
    },
    effort.rounds,
  )
  const at = `window ${window}`
  return [
    figure(
      `completions.perSecond.w${window}`,
      '/s',
      samples.coalesced,
      `${at}: posted, settled as a promise; permits minted beforehand`,
      window === 32 ? { atLeast: 2e6 } : null,
    ),
    figure(
      `completions.wakePerCompletion.w${window}`,
      '/s',
      samples.waking,
      `${at}: one thread-safe call a completion`,
    ),
    figure(
      `completions.ratio.w${window}`,
      'x',
      ratios(samples.coalesced, samples.waking),
      `${at}: this engine over the design with one thread-safe call a completion`,
      window === 32 ? { atLeast: 3 } : null,
    ),
    figure(
      `completions.wakesPerOperation.w${window}`,
      'count',
      wakes.slice(1),
      `${at}: wake-ups of the JavaScript thread an operation`,
      window === 32 ? { atMost: 0.05 } : null,
    ),
  ]
}

/** Closed loop: `window` lanes, each posts its next transfer when its last has settled. */
async function perSecond({ pair, lists }: Side, window: number, count: number): Promise<number> {
  const permits = Array.from({ length: count }, () => pair.mint(NOOP_BYTES))
  const run = async (list: ListPair): Promise<void> => {
    for (let permit = permits.pop(); permit !== undefined; permit = permits.pop()) {
      await pair.post(list, permit).settled
    }
  }
  const start = process.hrtime.bigint()
  const lanes: Promise<void>[] = []
  for (let i = 0; i < window; i++) lanes.push(run(lists[i]!))
  await Promise.all(lanes)
  return count / (elapsedNs(start) / 1e9)
}
