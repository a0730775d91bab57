// Bytes a second through the mock against a plain memcpy of the same blocks in the same round, one copying thread each.

import { permutation, streamOf } from '../../src/random.js'
import { type Effort, type Figure, figure, type Scenario } from '../figure.js'
import { type ListPair, Pair } from '../pair.js'
import { elapsedNs, interleaved, ratios } from '../rounds.js'

const KIB = 1024
const BLOCK_BYTES = [4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, 1024 * KIB] as const
/** Larger than the caches, so that memory is what is measured. */
const TOTAL_BYTES = 128 * 1024 * KIB
const TARGET_FROM_BYTES = 64 * KIB

export const bandwidth: Scenario = {
  name: 'bandwidth',
  title: 'Mock bandwidth against memcpy: 128 MiB in shuffled blocks, one copying thread each',
  async run(effort) {
    const figures: Figure[] = []
    for (const blockBytes of BLOCK_BYTES) figures.push(...(await atBlockSize(blockBytes, effort)))
    return figures
  },
}

async function atBlockSize(blockBytes: number, effort: Effort): Promise<Figure[]> {
  const totalBytes = effort.quick ? TOTAL_BYTES / 8 : TOTAL_BYTES
  const blocks = totalBytes / blockBytes
  const pair = await Pair.open()
  try {
    const lists = pair.lists(
      `blocks-${blockBytes}`,
      blockBytes,
      permutation(streamOf(effort.seed, 'bench-from', blockBytes), blocks),
      permutation(streamOf(effort.seed, 'bench-to', blockBytes), blocks),
    )
    const samples = await interleaved(
      {
        mock: () => mockBytesPerSecond(pair, lists),
        memcpy: () => lists.bytes / (pair.memcpyNs(lists, 1) / 1e9),
      },
      effort.rounds,
    )
    const size = `${blockBytes / KIB}KiB`
    return [
      figure(
        `bandwidth.mock.${size}`,
        'B/s',
        samples.mock,
        `${blocks} blocks of ${size}, through agent, permit and thread`,
      ),
      figure(`bandwidth.memcpy.${size}`, 'B/s', samples.memcpy, 'one memcpy a block on one thread'),
      figure(
        `bandwidth.ratio.${size}`,
        'x',
        ratios(samples.mock, samples.memcpy),
        'mock over memcpy',
        blockBytes >= TARGET_FROM_BYTES ? { atLeast: 0.9 } : null,
      ),
    ]
  } finally {
    await pair.close()
  }
}

/** One transfer at a time: two of the same blocks would read each other's from the cache. */
async function mockBytesPerSecond(pair: Pair, lists: ListPair): Promise<number> {
  const start = process.hrtime.bigint()
  await pair.post(lists, pair.mint(lists.bytes)).settled
  return lists.bytes / (elapsedNs(start) / 1e9)
}
