// How a process ends with transfers in flight, and what is left in one that goes on. Each scenario names the rule of the
// engine without which it fails.

import { describe, expect, it } from 'vitest'
import { CHILD_TIMEOUT_MS, type Ended, LOOPS, start } from './child.js'

const ABRUPT = new Set(['exit', 'uncaught', 'rejection', 'detach'])
const life = (mode: string) =>
  start('./life.child.ts', [mode, String(LOOPS)], { nodeOptions: ['--expose-gc'], abrupt: ABRUPT.has(mode) })
/** An ending that takes longer than this hangs on something; without load it takes a tenth of a second. */
const BOUND_MS = 20_000

function expectClean(ended: Ended, code: number): void {
  expect(ended.err).toBe('')
  expect(ended).toMatchObject({ code, signal: null })
}

describe('a process with transfers in flight', () => {
  // Fails when a static destructor or an exit handler meets the progress thread, which still runs: no cleanup hook is called.
  it('ends with its own code after process.exit()', { timeout: CHILD_TIMEOUT_MS * LOOPS }, async () => {
    for (let loop = 0; loop < LOOPS; loop++) {
      const ended = await life('exit').ended
      expectClean(ended, 7)
      expect(ended.endingMs).toBeLessThan(BOUND_MS)
    }
  })

  it.each([
    ['uncaught', 'nobody catches this'],
    ['rejection', 'nobody handles this'],
  ])('ends with 1 after an %s error', { timeout: CHILD_TIMEOUT_MS }, async (mode, text) => {
    const ended = await life(mode).ended
    expect(ended).toMatchObject({ code: 1, signal: null })
    expect(ended.err).toContain(text)
    expect(ended.endingMs).toBeLessThan(BOUND_MS)
  })

  // Fails when a library replaces the signal's disposition, or the thread blocks it.
  it('ends at once by SIGTERM', { timeout: CHILD_TIMEOUT_MS * LOOPS }, async () => {
    for (let loop = 0; loop < LOOPS; loop++) {
      const { child, said, ended } = life('wait')
      await said('in flight')
      child.kill('SIGTERM')
      expect(await ended).toMatchObject({ code: null, signal: 'SIGTERM', err: '' })
    }
  })

  // Fails when close() leaves a promise unsettled: the process would wait, or print fewer.
  it('closes gracefully in a SIGTERM handler and then ends by itself', { timeout: CHILD_TIMEOUT_MS }, async () => {
    const { child, said, ended } = life('graceful')
    await said('in flight')
    child.kill('SIGTERM')
    const end = await ended
    expectClean(end, 143)
    expect(end.out).toContain('settled 8\n')
    expect(end.out).toMatch(/regions \d+\n/)
  })

  // Fails when a transfer in flight does not hold the thread-safe function: the outcome is never delivered.
  it('stays until they have settled, without close()', { timeout: CHILD_TIMEOUT_MS }, async () => {
    const ended = await life('natural').ended
    expectClean(ended, 0)
    expect(ended.out).toContain('settled, same: true')
  })

  it('may be closed several times at once', { timeout: CHILD_TIMEOUT_MS }, async () => {
    const ended = await life('twice').ended
    expectClean(ended, 0)
    expect(ended.out).toContain('settled 8')
  })
})

describe('a process with an idle agent', () => {
  // Fails when an idle agent's thread-safe function holds the event loop: the process would never end.
  it('ends by itself, without close()', { timeout: CHILD_TIMEOUT_MS }, async () => {
    const ended = await life('idle').ended
    expectClean(ended, 0)
    expect(ended.endingMs).toBeLessThan(BOUND_MS)
  })
})

describe('memory', () => {
  // Fails when a transfer does not hold a share of its regions: the collector frees them under the copy.
  it('is not freed under a transfer when all references are gone', { timeout: CHILD_TIMEOUT_MS }, async () => {
    const ended = await life('gc').ended
    expectClean(ended, 0)
    expect(ended.out).toContain('regions 0\n')
  })

  // Fails when transfers are given the memory of an ArrayBuffer: detaching or resizing it frees the bytes.
  it('survives what JavaScript does to its views', { timeout: CHILD_TIMEOUT_MS }, async () => {
    const ended = await life('detach').ended
    expectClean(ended, 0)
    expect(ended.out).toContain('same bytes')
  })

  it('and threads and descriptors are all given back by close()', { timeout: CHILD_TIMEOUT_MS }, async () => {
    const ended = await life('leaks').ended
    expectClean(ended, 0)
    const { before, after } = JSON.parse(ended.out) as { before: object; after: { regions: number; threads: number } }
    expect(after).toEqual(before)
    expect(after).toMatchObject({ regions: 0, threads: 0 })
  })
})

describe('a worker', () => {
  // Fails when the thread is stopped in a finalizer instead of a cleanup hook (terminate() hangs), or when a completion
  // wakes an environment that is gone (crash).
  it('that is terminated in the middle leaves nothing, and main goes on', {
    timeout: CHILD_TIMEOUT_MS * 2,
  }, async () => {
    const ended = await life('worker').ended
    expectClean(ended, 0)
    expect(ended.out).toBe('regions 0\nthreads 0\n')
  })
})
