// Preparing and posting the 81,920 descriptors of a long prompt: what one of them costs, and that none is an object.

import { permutation, streamOf } from '../../src/random.js'
import { type Effort, type Figure, figure, type Scenario } from '../figure.js'
import { allocatedBytes } from '../heap.js'
import { Pair } from '../pair.js'
import { elapsedNs, interleaved } from '../rounds.js'

/** 8,192 tokens of a model of 80 layers: 512 blocks, K and V of each layer. */
const COUNT = 81_920
const BLOCK_BYTES = 1024
/** Small, so that many whole lists can be posted in a row. */
const POSTED_BLOCK_BYTES = 8
/** Heap is handed out in pieces of many KiB, so only many posts together show what one takes. */
const POSTS_A_LOOK = 512

export const descriptors: Scenario = {
  name: 'descriptors',
  title: `Preparing and posting ${COUNT.toLocaleString('en')} descriptors`,
  async run(effort) {
    const pair = await Pair.open()
    try {
      return [...(await preparing(pair, effort)), ...(await posting(pair, effort))]
    } finally {
      await pair.close()
    }
  },
}

async function preparing(pair: Pair, effort: Effort): Promise<Figure[]> {
  const region = pair.reader.allocate(COUNT * BLOCK_BYTES, { name: 'prepared' })
  const ids = permutation(streamOf(effort.seed, 'bench-ids'), COUNT)
  const offsets = Float64Array.from(ids, (id) => id * BLOCK_BYTES)
  const lengths = new Float64Array(COUNT).fill(BLOCK_BYTES)
  const perDescriptor = (prepare: () => void) => (): number => {
    const start = process.hrtime.bigint()
    prepare()
    return elapsedNs(start) / COUNT
  }
  const big = new BigUint64Array(COUNT)
  let sink: unknown
  const samples = await interleaved(
    {
      ids: perDescriptor(() => region.blocks(BLOCK_BYTES, ids).release()),
      runs: perDescriptor(() => region.runs(offsets, lengths).release()),
      bigint: perDescriptor(() => {
        for (let i = 0; i < COUNT; i++) big[i] = BigInt(offsets[i]!)
        sink = big
      }),
      objects: perDescriptor(() => {
        sink = Array.from(offsets, (offset) => ({ offset, bytes: BLOCK_BYTES }))
      }),
    },
    effort.rounds * 3,
  )
  if (sink === undefined) throw new Error('the comparison was not run')
  const target = { atMost: 5 }
  return [
    figure(
      'descriptors.prepare.uint32',
      'ns',
      samples.ids,
      'a descriptor, from Uint32 block ids, checked and in C++',
      target,
    ),
    figure('descriptors.prepare.float64', 'ns', samples.runs, 'a descriptor, from Float64 offsets and lengths', target),
    figure(
      'descriptors.compare.bigint',
      'ns',
      samples.bigint,
      'comparison: only turning one number into a BigInt of a BigUint64Array',
    ),
    figure('descriptors.compare.objects', 'ns', samples.objects, 'comparison: only making one object a descriptor'),
  ]
}

async function posting(pair: Pair, effort: Effort): Promise<Figure[]> {
  const shuffled = (purpose: string): Uint32Array => permutation(streamOf(effort.seed, purpose), COUNT)
  const lists = pair.lists('posted', POSTED_BLOCK_BYTES, shuffled('bench-post-from'), shuffled('bench-post-to'))
  const one = Uint32Array.of(0)
  const single = pair.lists('single', POSTED_BLOCK_BYTES, one, one)
  const heap: number[] = []
  const postNs = (list: typeof lists) => async (): Promise<number> => {
    const permit = pair.mint(list.bytes)
    const start = process.hrtime.bigint()
    const transfer = pair.post(list, permit)
    const ns = elapsedNs(start)
    await transfer.settled
    return ns
  }
  const samples = await interleaved(
    {
      many: postNs(lists),
      single: postNs(single),
      settled: async () => {
        const start = process.hrtime.bigint()
        await pair.post(lists, pair.mint(lists.bytes)).settled
        return elapsedNs(start)
      },
    },
    effort.rounds * 3,
  )
  // Each post moves a part of its own: what is in flight together must not write the same bytes.
  const part = COUNT / POSTS_A_LOOK
  const warmUp = effort.quick ? 1 : 5 // until the code that posts is compiled for good, which takes heap too
  for (let i = 0; i < warmUp + effort.rounds; i++) {
    const permits = Array.from({ length: POSTS_A_LOOK }, () => pair.mint(lists.bytes))
    const settled = new Array<Promise<unknown>>(POSTS_A_LOOK)
    const bytes = allocatedBytes(() => {
      for (let j = 0; j < POSTS_A_LOOK; j++) settled[j] = pair.post(lists, permits[j]!, j * part, part).settled
    })
    if (i >= warmUp) heap.push(bytes / POSTS_A_LOOK)
    await Promise.all(settled)
  }
  return [
    figure(
      'descriptors.post.many',
      'ns',
      samples.many,
      `one call that posts a prepared list of ${COUNT.toLocaleString('en')}`,
    ),
    figure('descriptors.post.single', 'ns', samples.single, 'the same call with a list of one'),
    figure(
      'descriptors.post.heap',
      'bytes',
      heap,
      'JavaScript heap that the call takes: one object a transfer, none a descriptor',
      {
        atMost: 1024,
      },
    ),
    figure(
      'descriptors.post.settled',
      'ns',
      samples.settled,
      `until its ${(COUNT * POSTED_BLOCK_BYTES) / 2 ** 20} MiB have arrived`,
    ),
  ]
}
