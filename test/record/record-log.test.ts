// The record log: JSON lines that arrive, a disk that fails, and an honest count of what was lost.

import fs, { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { RecordLog } from '../../src/record/record-log.js'
import { admit, eventually, openPair, PREFILL } from '../native/pair.js'
import { expectRefusal } from '../native/refusal.js'

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'kvseam-log-'))
  onTestFinished(() => rmSync(made, { recursive: true, force: true }))
  return made
}

const lines = (file: string): Record<string, unknown>[] =>
  readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>)

/** Makes every write of this file fail like a full disk until the returned function is called. */
function fillDisk(file: string): () => void {
  const write = fs.write
  const full = vi.spyOn(fs, 'write').mockImplementation(((fd: number, ...rest: unknown[]) => {
    if (!ours(fd, file)) return Reflect.apply(write, fs, [fd, ...rest])
    const callback = rest.at(-1) as (error: NodeJS.ErrnoException) => void
    const error = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })
    setImmediate(callback, error)
  }) as never)
  onTestFinished(() => full.mockRestore())
  return () => full.mockRestore()
}

function ours(fd: number, file: string): boolean {
  try {
    return fs.readlinkSync(`/proc/self/fd/${fd}`) === file
  } catch {
    return false
  }
}

describe('the record log of a seam', () => {
  it('has every decision and every change of state, in order, one JSON line each', async () => {
    const recordLog = join(folder(), 'decisions.jsonl')
    const { seam, kv, slots } = await openPair({ recordLog, sessionsPerPath: 2 })
    const done = await seam.handoff({
      from: kv.range(0, 64),
      to: slots.range(0, 64),
      workload: 'batch',
      requestId: 'r-1',
    })
    await done.quiesced
    for (let i = 0; i < 12; i++) seam.policy.observe({ path: done.path.id, outcome: 'ok', totalUs: 90_000, bytes: 64 })
    for (let i = 0; i < 5; i++) seam.policy.decide({ workload: 'interactive', bytes: 64, from: PREFILL })
    await seam.close()
    const written = lines(recordLog)
    expect(written).toHaveLength(seam.records.written)
    expect(seam.records).toEqual({ file: recordLog, written: written.length, lost: 0 })
    expect(written.find((line) => line['schema'] === 'kvseam.decision/1')).toMatchObject({
      req: { id: 'r-1' },
      chosen: done.path.id,
    })
    expect(written.filter((line) => line['schema'] === 'kvseam.decision/1')).toHaveLength(6)
    expect(written.filter((line) => line['schema'] === 'kvseam.transition/1').length).toBeGreaterThan(0)
    const numbers = written.map((line) => line['seq'] as number)
    expect(numbers).toEqual([...numbers].sort((a, b) => a - b))
    expect(new Set(numbers).size).toBe(numbers.length)
    expect(new Set(written.map((line) => line['epoch'])).size).toBe(1)
  })

  it.each([
    ['a folder that does not exist', (at: string) => join(at, 'none', 'log.jsonl')],
    ['a folder in place of the file', (at: string) => at],
  ])('refuses %s with what to do, and opens nothing', async (_, where) => {
    const recordLog = where(folder())
    const error = await expectRefusal(async () => await openPair({ recordLog }), {
      code: 'KVSEAM_RECORD_LOG',
      says: [recordLog, 'choose a folder that exists and is writable'],
    })
    expect(error.facts).toEqual({ file: recordLog })
  })

  it('refuses a folder without the right to write', async ({ skip }) => {
    if (process.getuid?.() === 0) skip('root may write anywhere')
    const at = folder()
    chmodSync(at, 0o500)
    await expectRefusal(async () => await openPair({ recordLog: join(at, 'log.jsonl') }), {
      code: 'KVSEAM_RECORD_LOG',
      says: ['EACCES'],
    })
  })

  it('on a full disk costs records, never a transfer, and says how many', async () => {
    const { seam, kv, slots } = await openPair({ recordLog: '/dev/full', sessionsPerPath: 100 })
    for (let i = 0; i < 30; i++) {
      const done = await seam.handoff({ from: kv.range(0, 64), to: slots.range(0, 64), workload: 'batch' })
      expect(done.verified).toBe(true)
    }
    for (let i = 0; i < 30; i++) seam.policy.abandon(admit(seam, { bytes: 64 }))
    const startedMs = performance.now()
    await seam.close()
    expect(performance.now() - startedMs).toBeLessThan(10_000)
    expect(seam.records.written).toBeGreaterThanOrEqual(60)
    expect(seam.records.lost).toBe(seam.records.written)
    const open = (): boolean => readdirSync('/proc/self/fd').some((fd) => ours(Number(fd), '/dev/full'))
    await eventually('descriptor given back', () => !open())
  })
})

const MEGABYTE = 'x'.repeat(1_000_000)

/** A log that has taken what it has room for, 16 MiB, while its disk is full, and dropped the rest of `count` records. */
async function brimming(count: number, padding: string) {
  const file = join(folder(), 'log.jsonl')
  const log = new RecordLog(file)
  const empty = fillDisk(file)
  for (let i = 0; i < count; i++) log.write({ i, padding })
  await eventually('failed', () => log.failure !== undefined)
  return { file, log, empty }
}

describe('a log whose disk is full for a while', () => {
  it('loses nothing when it can be written again in time', async () => {
    const file = join(folder(), 'log.jsonl')
    const log = new RecordLog(file)
    const empty = fillDisk(file)
    for (let i = 0; i < 400; i++) log.write({ i, padding: 'x'.repeat(100) })
    await eventually('failed', () => log.failure !== undefined)
    expect(log.failure).toMatchObject({ code: 'ENOSPC' })
    empty()
    for (let i = 400; i < 500; i++) log.write({ i, padding: 'x'.repeat(100) })
    await log.close()
    expect(lines(file).map((line) => line['i'])).toEqual([...Array(500).keys()])
    expect([log.written, log.lost]).toEqual([500, 0])
  })

  it('drops what it has no room for, and writes down how many as soon as it can', async () => {
    const { file, log, empty } = await brimming(40, 'ä'.repeat(500_000))
    const { lost } = log
    expect(lost).toBeGreaterThan(10)
    expect(lost).toBeLessThan(40)
    empty()
    // Whether it is taken or not, it has the log look again.
    log.write({ i: 40 })
    await eventually('written again', () => fs.statSync(file).size > 10_000_000)
    log.write({ i: 41, padding: 'x'.repeat(10_000) })
    await log.close()
    const written = lines(file)
    expect(log.lost).toBeGreaterThanOrEqual(lost)
    const gaps = written.filter((line) => line['schema'] === 'kvseam.gap/1')
    expect(gaps.reduce((sum, gap) => sum + (gap['lost'] as number), 0)).toBe(log.lost)
    expect(written.filter((line) => 'i' in line)).toHaveLength(42 - log.lost)
    expect(written.at(-1)).toMatchObject({ i: 41 })
  })

  it('closes with the gap that no record came after', async () => {
    const { file, log, empty } = await brimming(20, MEGABYTE)
    empty()
    log.write({ i: 20 }) // no room for it yet either, but it has the log look again
    await eventually('written again', () => fs.statSync(file).size > 10_000_000)
    await log.close()
    expect(lines(file).at(-1)).toMatchObject({ schema: 'kvseam.gap/1', lost: log.lost })
    expect(log.lost).toBeGreaterThan(3)
  })

  it('counts records, not what it says of them, when the disk is full again at the end', async () => {
    const { file, log, empty } = await brimming(20, MEGABYTE)
    empty()
    log.write({ i: 20 })
    await eventually('all written', () => fs.statSync(file).size > 17 * MEGABYTE.length)
    fillDisk(file)
    log.write({ i: 21 }) // with the gap before it
    await log.close()
    expect(lines(file).map((line) => line['i'])).toEqual([...Array(17).keys()])
    expect([log.written, log.lost]).toEqual([22, 5])
  })

  it('closes once, within its bound, and takes nothing afterwards', async () => {
    const file = join(folder(), 'log.jsonl')
    const log = new RecordLog(file)
    log.write({ i: 0 })
    await Promise.all([log.close(), log.close()])
    log.write({ i: 1 })
    await log.close()
    expect(lines(file)).toEqual([{ i: 0, prevHash: null }])
    expect([log.written, log.lost]).toEqual([1, 0])
  })
})
