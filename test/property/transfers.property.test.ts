// I1 to I10 over random programs: posts, cancels, faults that come and go, regions that are closed, in any order.

import fc from 'fast-check'
import { expect, it } from 'vitest'
import { openSeam, SeamError } from '../../src/index.js'
import { backendOptions } from '../backend.js'
import type { Entry } from '../failures/oracles/ledger.js'
import { BLOCK, BLOCKS, Subject } from '../failures/subject.js'

const SPECS = [
  '*.read=30%drop->30%lose',
  '*.read=40%late(40ms)',
  '*.read=50%dup(2)',
  '*.read=50%delay(exp(500us))',
  'rail0.read=30%error(backend)->20%stale',
  'rail1.read=2*stall(8ms)',
  '*.read=30%eagain(2)',
  '*.read=30%partial(40%)',
  '*.read=40%reorder(3)',
  '*.cancel=40%delay(1ms)',
  '*=off',
]

type Step =
  | { readonly kind: 'post'; readonly rail: number; readonly blocks: number; readonly timeoutMs: number }
  | { readonly kind: 'cancel'; readonly which: number }
  | { readonly kind: 'arm'; readonly spec: string; readonly seed: number }
  | { readonly kind: 'disarm' }
  | { readonly kind: 'turn' }
  | { readonly kind: 'allocate' }
  | { readonly kind: 'closeRegion'; readonly which: number }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('post' as const),
      rail: fc.integer({ min: 0, max: 1 }),
      blocks: fc.integer({ min: 1, max: 4 }),
      timeoutMs: fc.integer({ min: 25, max: 80 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('cancel' as const), which: fc.nat(30) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('arm' as const),
      spec: fc.constantFrom(...SPECS),
      seed: fc.nat(1_000_000),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'disarm' as const }) },
  { weight: 2, arbitrary: fc.constant({ kind: 'turn' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'allocate' as const }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('closeRegion' as const), which: fc.nat(5) }) },
)

interface Posted {
  readonly id: number
  readonly entry: Entry
  readonly to: readonly number[]
}

it('settles each transfer once and in time, moves exactly its bytes, and gives everything back', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (program) => {
      const subject = await Subject.open()
      try {
        const posted: Posted[] = []
        const wrong: string[] = []
        // Even blocks are destinations, odd ones canaries; a block is used again only after it has quiesced.
        const free = Array.from({ length: BLOCKS / 2 }, (_, i) => 2 * i)
        const extra: { close(): Promise<void> }[] = []
        let live = subject.decode.counters.regions
        for (const [number, todo] of program.entries()) {
          switch (todo.kind) {
            case 'post': {
              if (free.length < todo.blocks) break
              const to = free.splice(0, todo.blocks)
              const from = Array.from({ length: todo.blocks }, (_, i) => (number * 5 + i) % BLOCKS)
              // Sources overlap on purpose, so the pattern is that of the place and not of the transfer.
              const entry = subject.post({ rail: todo.rail, from, to, timeoutMs: todo.timeoutMs })
              posted.push({ id: number, entry, to })
              void entry.transfer.quiesced.then(() => free.push(...to))
              entry.transfer.settled.then(
                () => {
                  const source = subject.source.view()
                  const target = subject.target.view()
                  from.forEach((block, i) => {
                    const sent = source.subarray(block * BLOCK, (block + 1) * BLOCK)
                    const found = target.subarray(to[i]! * BLOCK, (to[i]! + 1) * BLOCK)
                    if (Buffer.compare(sent, found) !== 0) wrong.push(`transfer ${number}, block ${i}`)
                  })
                },
                () => {},
              )
              break
            }
            case 'cancel':
              posted[todo.which]?.entry.transfer.cancel()
              break
            case 'arm':
              if (subject.seam.faults.report().length < 3) subject.seam.faults.arm(`seed=${todo.seed};${todo.spec}`)
              break
            case 'disarm':
              subject.seam.faults.close()
              break
            case 'turn':
              await new Promise((resolve) => setTimeout(resolve, 3))
              break
            case 'allocate':
              extra.push(subject.decode.allocate(BLOCK, { name: `extra-${number}` }))
              live++
              break
            case 'closeRegion': {
              const region = extra[todo.which]
              if (region === undefined) break
              extra.splice(todo.which, 1)
              await region.close()
              live--
              break
            }
          }
          expect(subject.decode.counters.regions, 'I10').toBe(live)
        }
        await subject.ledger.allSettled()
        subject.seam.faults.close()
        await subject.check()
        expect(wrong, 'I3: bytes of a transfer that was reported good').toEqual([])
        subject.shadow.checkCanaries(Array.from({ length: BLOCKS / 2 }, (_, i) => 2 * i))
        // I5: what has quiesced is not touched any more, whatever still happens on the paths.
        const before = Buffer.from(subject.target.view())
        await new Promise((resolve) => setTimeout(resolve, 60))
        expect(Buffer.compare(before, subject.target.view())).toBe(0)
        for (const { entry } of posted) entry.transfer.cancel() // I8
        expect(subject.ledger.entries.every((entry) => entry.settles === 1)).toBe(true)
      } finally {
        await subject.seam.close()
      }
    }),
    { numRuns: 40 },
  )
}, 120_000)

it('ends in the same memory whatever the order of completions (I7)', async () => {
  const run = async (spec: string): Promise<{ target: Buffer; order: number[] }> => {
    const subject = await Subject.open()
    try {
      subject.seam.faults.arm(spec)
      subject.shadow.fill(
        3,
        Array.from({ length: BLOCKS }, (_, i) => i),
      )
      const order: number[] = []
      for (let i = 0; i < BLOCKS; i++) {
        const { transfer } = subject.post({ rail: i % 2, from: [i], to: [(i * 7) % BLOCKS] })
        void transfer.settled.then(() => order.push(i))
      }
      await subject.check()
      return { target: Buffer.from(subject.target.view()), order }
    } finally {
      await subject.seam.close()
    }
  }
  const plain = await run('*=off')
  for (const spec of ['*.read=reorder(5)', 'seed=3;*.read=delay(exp(3ms))', 'seed=4;rail0.read=delay(20ms)']) {
    const other = await run(spec)
    expect(other.order).not.toEqual(plain.order)
    expect(Buffer.compare(other.target, plain.target)).toBe(0)
  }
})

it('calls nobody back after close() has resolved, and closes as often as one likes (I6)', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...SPECS, '*=pause', '*=delay(1s)', '*.poll=stall(50ms)'),
      fc.nat(20),
      async (spec, waitMs) => {
        const seam = await openSeam({ ...backendOptions, profile: 'reference', sessionsPerPath: 1000 })
        const prefill = await seam.agent('prefill-0')
        const decode = await seam.agent('decode-0')
        const from = prefill.allocate(8 * BLOCK, { name: 'kv' })
        const to = decode.allocate(8 * BLOCK, { name: 'kv' })
        seam.faults.arm(`seed=1;${spec}`)
        let closed = false
        let after = 0
        let settled = 0
        for (let i = 0; i < 8; i++) {
          seam
            .handoff({
              from: from.blocks(BLOCK, [i]),
              to: to.blocks(BLOCK, [i]),
              workload: 'batch',
              deadlineMs: 5000,
              verify: 'off',
            })
            .catch((error: unknown) => {
              if (!SeamError.is(error)) throw error
            })
            .finally(() => {
              settled++
              if (closed) after++
            })
        }
        decode.onPeerDown = () => {
          if (closed) after++
        }
        await new Promise((resolve) => setTimeout(resolve, waitMs))
        const start = performance.now()
        await Promise.all([seam.close(), seam.close()])
        expect(performance.now() - start).toBeLessThan(4000)
        // The promise of an outcome that came with the close is settled in this turn already.
        await new Promise(setImmediate)
        closed = true
        expect(settled).toBe(8)
        await seam.close()
        await new Promise((resolve) => setTimeout(resolve, 30))
        expect(after).toBe(0)
      },
    ),
    { numRuns: 25 },
  )
}, 120_000)
