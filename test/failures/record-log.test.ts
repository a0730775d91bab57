// Row 48: a decision log whose disk is full, broken or does not move. Transfers go on; what is lost is counted and told.

import { execFileSync, spawn } from 'node:child_process'
import { closeSync, constants, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished } from 'vitest'
import { openSeam } from '../../src/index.js'
import { row } from './row.js'

const CHILD = fileURLToPath(new URL('./record-log.child.ts', import.meta.url))
const root = fileURLToPath(new URL('../..', import.meta.url))

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'kvseam-log-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

/** Decides over and over and returns the longest pause that a timer of 1 ms saw. */
async function decideFor(ms: number, recordLog: string) {
  const seam = await openSeam({ profile: 'reference', recordLog, sessionsPerPath: 1_000_000 })
  await seam.agent('prefill-0')
  await seam.agent('decode-0')
  let worst = 0
  let last = performance.now()
  const ticker = setInterval(() => {
    worst = Math.max(worst, performance.now() - last)
    last = performance.now()
  }, 1)
  const until = performance.now() + ms
  let decisions = 0
  while (performance.now() < until) {
    for (let i = 0; i < 50; i++) {
      const decision = seam.policy.decide({ workload: 'batch', bytes: 4096, from: 'prefill-0', to: ['decode-0'] })
      if (decision.outcome !== 'admitted') throw new Error(decision.record.reason)
      seam.policy.abandon(decision)
      decisions++
    }
    await new Promise(setImmediate)
  }
  clearInterval(ticker)
  const start = performance.now()
  await seam.close()
  // What still waits at the end is lost; before, there was hope for it.
  const { records } = seam
  return { decisions, worst, records, closeMs: performance.now() - start }
}

describe('a decision log', () => {
  row(48, 'on a full disk loses records, counts them, and holds up no decision', async () => {
    const { decisions, worst, records, closeMs } = await decideFor(400, '/dev/full')
    expect(decisions).toBeGreaterThan(200)
    expect(records.lost).toBeGreaterThan(0)
    expect(worst).toBeLessThan(1500)
    expect(closeMs).toBeLessThan(6000)
  })

  row(48, 'that nobody empties stops growing at its bound, and the loop goes on', async () => {
    const fifo = join(folder(), 'fifo')
    execFileSync('mkfifo', [fifo])
    const reader = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK) // opened, never read
    onTestFinished(() => closeSync(reader))
    const { decisions, worst, closeMs } = await decideFor(400, fifo)
    expect(decisions).toBeGreaterThan(200)
    expect(worst).toBeLessThan(1500)
    expect(closeMs).toBeLessThan(6000)
  })

  row(48, 'writes down the gap once there is room again', async () => {
    const file = join(folder(), 'log.jsonl')
    // The disk is a limit on the size of files here, set and lifted while the process runs.
    const child = spawn(process.execPath, ['--import', 'tsx', CHILD, file], {
      cwd: root,
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    const lines = child.stdout.setEncoding('utf8')[Symbol.asyncIterator]()
    const said = async (): Promise<string> => String((await lines.next()).value).trim()
    const limit = (bytes: string): void => {
      execFileSync('prlimit', ['--pid', String(child.pid), `--fsize=${bytes}:`])
      child.stdin.write('\n')
    }
    expect(await said()).toBe('ready')
    limit('65536')
    expect(await said()).toBe('full')
    limit('1073741824')
    const last = JSON.parse(await said()) as { lost: number; atLast: number }
    expect(last.lost).toBeGreaterThan(0)
    const records = readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line.includes('kvseam.gap/1'))
      .map((line) => JSON.parse(line.slice(line.indexOf('{"schema":"kvseam.gap/1"'))) as { lost: number })
    expect(records.length).toBeGreaterThan(0)
    expect(records.reduce((sum, gap) => sum + gap.lost, 0)).toBe(last.lost)
    expect(last.atLast).toBe(last.lost)
  })
})
