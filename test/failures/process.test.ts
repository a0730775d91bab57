// Rows 24 to 31: a stuck progress thread, a busy event loop, collected and transferred views, workers and processes that
// end with transfers in flight, and children that are started meanwhile.

import { spawn, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Worker } from 'node:worker_threads'
import { describe, expect } from 'vitest'
import { backendOptions } from '../backend.js'
import { childEnvironment } from '../child-environment.js'
import { type Entry, LATE_MS } from './oracles/ledger.js'
import { row } from './row.js'
import { BLOCK, BLOCKS, rail, Subject } from './subject.js'

const CHILD = fileURLToPath(new URL('./in-flight.child.ts', import.meta.url))
/** A worker has no loader for TypeScript until it asks for one. */
const BOOT = `import('tsx/esm/api').then(({ register }) => { register(); return import(${JSON.stringify(CHILD)}) })`
const root = fileURLToPath(new URL('../..', import.meta.url))

describe('the progress thread', () => {
  row(
    24,
    'stuck inside its backend does not hold up deadlines: they are kept from outside, and blame nobody else',
    async () => {
      const subject = await Subject.open()
      const other = await subject.seam.agent('decode-7')
      const landing = other.allocate(BLOCK, { name: 'kv' })
      let held: Entry
      {
        using _ = subject.seam.faults.arm('decode-0.poll=1*stall(20s)')
        const start = performance.now()
        const late = subject.post({ timeoutMs: 150 })
        const enough = subject.post({ timeoutMs: 10_000, to: [1] })
        await expect(late.transfer.settled).rejects.toMatchObject({
          code: 'KVSEAM_TIMEOUT',
          blame: 'local',
          facts: { bytesUnknown: true, selfDelayed: true, progressLagMs: expect.any(Number) },
        })
        expect(performance.now() - start).toBeLessThan(150 + LATE_MS)
        expect(subject.decode.native.progressLag(subject.decode.handle)).toBeGreaterThan(100e6)
        expect(late.transfer.isQuiesced).toBe(false)
        await expect(subject.target.close()).rejects.toMatchObject({ code: 'KVSEAM_REGION_BUSY' })
        // Another agent of the process goes on meanwhile.
        await subject.seam.handoff({
          from: subject.source.blocks(BLOCK, [0]),
          to: landing.blocks(BLOCK),
          workload: 'batch',
        })
        expect(performance.now() - start).toBeLessThan(19_000)
        held = enough
      }
      expect(await held.transfer.settled).toMatchObject({ selfDelayed: true })
      await subject.check()
      expect(subject.seam.paths.get(rail(0))!.health.dropFraction).toBe(0)
    },
  )

  row(24, 'stuck inside its backend does not hold up a connect either', async () => {
    const subject = await Subject.open()
    const other = await subject.seam.agent('decode-8')
    using _ = subject.seam.faults.arm('decode-8.poll=1*stall(20s)')
    await new Promise((resolve) => setTimeout(resolve, 20))
    await other.notify(other.peer('prefill-0')!, Buffer.from('x'), { timeoutMs: 30 }).catch(() => {})
    const blob = await foreignMetadata()
    const start = performance.now()
    await expect(other.connect(blob, { timeoutMs: 150 })).rejects.toMatchObject({
      code: 'KVSEAM_TIMEOUT',
      blame: 'local',
    })
    expect(performance.now() - start).toBeLessThan(150 + LATE_MS)
  })
})

async function foreignMetadata(): Promise<Uint8Array> {
  const { openSeam } = await import('../../src/index.js')
  const seam = await openSeam(backendOptions)
  const agent = await seam.agent('stranger-0')
  const blob = Uint8Array.from(agent.metadata())
  await seam.close()
  return blob
}

describe('the event loop', () => {
  row(25, 'blocked for 600 ms delays callbacks, not bytes, and does not hurt the path', async () => {
    const subject = await Subject.open()
    for (let i = 0; i < 10; i++) await subject.handOff({ rail: 0 })
    const before = subject.seam.paths.get(rail(0))!.health
    using armed = subject.seam.faults.arm('rail0.read=1*block(600ms)')
    const start = performance.now()
    const done = await subject.handOff({ rail: 0, from: [0, 1, 2, 3] })
    expect(performance.now() - start).toBeGreaterThan(590)
    expect(armed.firings).toHaveLength(1)
    expect(done.ms).toBeLessThan(590)
    const after = subject.seam.paths.get(rail(0))!.health
    expect(after.dropFraction).toBe(before.dropFraction)
    expect(after.p99Ms).toBeLessThan(590)
  })
})

describe('memory', () => {
  row(26, 'whose views are collected in flight keeps its bytes', async () => {
    setFlagsFromString('--expose_gc')
    const gc = runInNewContext('gc') as () => void
    const subject = await Subject.open()
    using _ = subject.seam.faults.arm('*.read=delay(5ms)')
    subject.shadow.fill(1, [0, 1, 2, 3])
    for (let i = 0; i < 20; i++) {
      const entry = subject.post({ rail: i % 2, from: [0, 1, 2, 3], to: [4, 5, 6, 7] })
      gc()
      await entry.transfer.settled
      subject.shadow.checkArrived(1, [4, 5, 6, 7])
    }
    await subject.check()
  })

  row(27, 'whose view is transferred away in flight keeps its bytes, and a resizable source is refused', async () => {
    const subject = await Subject.open()
    using _ = subject.seam.faults.arm('*.read=delay(10ms)')
    subject.shadow.fill(1, [0])
    const { buffer } = subject.target.view()
    const entry = subject.post({ from: [0], to: [3] })
    // Node 20 copies such a buffer instead of detaching it; later versions detach it. Neither may touch the bytes.
    structuredClone(buffer, { transfer: [buffer as ArrayBuffer] })
    await entry.transfer.settled
    subject.shadow.checkArrived(1, [3])
    const resizable = new Uint8Array(
      new (ArrayBuffer as unknown as new (n: number, o: object) => ArrayBuffer)(8, { maxByteLength: 16 }),
    )
    expect(() => subject.target.write(resizable)).toThrow(expect.objectContaining({ code: 'KVSEAM_INVALID_ARGUMENT' }))
    await subject.check()
  })
})

describe('a worker', () => {
  row(
    29,
    'that is terminated with faulted transfers in flight ends at once',
    async () => {
      // Other test files of this process have regions too, so these are told by their size.
      for (const spec of [
        '*=drop',
        '*=pause',
        '*=late(10s)',
        '*=delay(1s)',
        '*.poll=stall(300ms)',
        '*=lose',
        '*=stall(2s)',
      ]) {
        const worker = new Worker(BOOT, { eval: true, argv: ['worker', spec] })
        await new Promise((resolve, reject) => {
          worker.once('message', resolve)
          worker.once('error', reject)
        })
        const start = performance.now()
        await worker.terminate()
        expect(performance.now() - start, spec).toBeLessThan(10_000)
      }
    },
    60_000,
  )
})

describe('a process', () => {
  const ending = (how: string, spec: string) => {
    const start = performance.now()
    const { status, signal, stderr } = spawnSync(process.execPath, ['--import', 'tsx', CHILD, how, spec], {
      cwd: root,
      env: childEnvironment(),
      encoding: 'utf8',
      timeout: 60_000,
    })
    return { how, spec, status, signal, stderr, ms: performance.now() - start }
  }

  row(
    30,
    'that ends with faulted transfers in flight neither crashes nor hangs, however it ends',
    async () => {
      const specs = ['*=drop', '*=pause', '*=late(10s)', '*.poll=stall(10s)']
      for (const [how, status, signal] of [
        ['exit', 7, null],
        ['throw', 1, null],
        ['sigterm', null, 'SIGTERM'],
      ] as const) {
        for (const spec of specs) {
          const ended = ending(how, spec)
          expect(ended, `${how} under ${spec}: ${ended.stderr}`).toMatchObject({ status, signal })
          expect(ended.ms).toBeLessThan(40_000)
        }
      }
    },
    120_000,
  )

  row(31, 'that starts children all the time moves the right bytes', async () => {
    const subject = await Subject.open()
    const ids = Array.from({ length: BLOCKS }, (_, i) => i)
    let left = 30
    const storm = new Promise<void>((resolve) => {
      const one = (): void => {
        if (left-- === 0) resolve()
        else spawn('/bin/true', { stdio: 'ignore' }).once('exit', one)
      }
      one()
    })
    let moved = 0
    let over = false
    void storm.then(() => {
      over = true
    })
    while (!over) {
      subject.shadow.fill(moved, ids)
      const entry = subject.post({ rail: moved % 2, from: ids, to: ids })
      await entry.transfer.settled
      subject.shadow.checkArrived(moved++, ids)
    }
    await storm
    expect(moved).toBeGreaterThan(5)
    await subject.check()
  })
})
