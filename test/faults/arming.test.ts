// Arming from code: what fires, who is told, what a set of rules reports while it is armed and after.

import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { type DecisionRecord, type Firing, openSeam, SeamError } from '../../src/index.js'
import { decisionChannel, faultChannel } from '../../src/observe/channels.js'
import { onMock } from '../backend.js'
import { BLOCK, BLOCKS, errorOf, handOff, post, rail, twoAgents } from './two-agents.js'

/** Warnings of the process while the test runs; other tests' may be among them. */
function warnings(): { code: string; message: string }[] {
  const seen: { code: string; message: string }[] = []
  const spy = vi.spyOn(process, 'emitWarning').mockImplementation((warning, options) => {
    seen.push({ code: (options as { code?: string }).code ?? '', message: String(warning) })
  })
  onTestFinished(() => spy.mockRestore())
  return seen
}

describe('faults.arm()', () => {
  it('fires until it is disarmed, and not a moment longer', async () => {
    warnings()
    const two = await twoAgents()
    {
      using armed = two.seam.faults.arm('rail0.read=error(remote_access)')
      expect(armed.armed).toBe(true)
      expect(two.seam.faults.armed).toBe(true)
      const error = await errorOf(post(two).settled)
      expect(error).toMatchObject({ code: 'KVSEAM_TRANSFER_FAILED', blame: 'peer' })
      if (onMock) expect(error.facts).toMatchObject({ backendText: 'Permission denied' })
      expect(armed.firings).toEqual([
        { rule: 1, step: 1, path: rail(0), op: 'read', seq: 1, action: 'error', value: 0 },
      ])
    }
    expect(two.seam.faults.armed).toBe(false)
    await expect(post(two).settled).resolves.toMatchObject({ bytes: BLOCKS * BLOCK })
  })

  it('lets rules of two sets add up, in the order of arming', async () => {
    warnings()
    const two = await twoAgents()
    const first = two.seam.faults.arm('*.read=error(timeout)')
    const second = two.seam.faults.arm('*.read=error(closed);*.read=delay(20ms)')
    expect(await errorOf(post(two).settled)).toMatchObject({ code: 'KVSEAM_TIMEOUT' })
    first.disarm()
    expect(await errorOf(post(two).settled)).toMatchObject({ code: 'KVSEAM_CLOSED' })
    second.disarm()
    await post(two).settled
    expect(first.report().rules[0]).toMatchObject({ matched: 1, fired: 1 })
    expect(second.report().rules.map((rule) => rule.fired)).toEqual([1, 2])
    expect(two.seam.faults.report()).toEqual([])
  })

  it('reports each rule: whether anything has its name, what it met and how often it fired', async () => {
    const seen = warnings()
    const two = await twoAgents()
    const armed = two.seam.faults.arm('rail0.read=error(timeout){every=2};rial1.read=drop;rail1.write=drop')
    await post(two).settled
    await errorOf(post(two).settled)
    expect(armed.report()).toMatchObject({
      origin: 'arm()',
      seedChosen: true,
      firingsLost: 0,
      rules: [
        { rule: 1, text: 'rail0.read=error(timeout){every=2}', line: 1, column: 1, known: true, matched: 2, fired: 1 },
        { rule: 2, text: 'rial1.read=drop', known: false, matched: 0, fired: 0, column: 36 },
        { rule: 3, known: true, matched: 0, fired: 0 },
      ],
    })
    await two.seam.close()
    const unused = seen.filter(({ code }) => code === 'KVSEAM_W_FAULTS_UNUSED')
    expect(unused).toHaveLength(1)
    expect(unused[0]!.message).toBe(
      'fault rules that did nothing: 2: rial1.read=drop (no path or agent has that name); ' +
        '3: rail1.write=drop (met 0 operations, fired never)',
    )
    expect(armed.report().rules[0]).toMatchObject({ fired: 1 })
  })

  it('says that faults are armed, once a seam, with a seed that can be typed again', async () => {
    const seen = warnings()
    const logged: object[] = []
    const { seam } = await twoAgents({
      logger: { info: () => {}, warn: (fields) => void logged.push(fields) },
    })
    const armed = seam.faults.arm('*=off')
    seam.faults.arm('*=off')
    const told = seen.filter(({ code }) => code === 'KVSEAM_W_FAULTS_ARMED')
    expect(told).toHaveLength(1)
    expect(told[0]!.message).toBe(`faults are armed by arm() (seed ${armed.seed}, chosen now): *=off`)
    expect(armed.seed).toMatch(/^\d{1,10}$/)
    expect(logged).toContainEqual(expect.objectContaining({ code: 'KVSEAM_W_FAULTS_ARMED', seed: armed.seed }))
  })

  it('marks the decisions made meanwhile', async () => {
    warnings()
    const two = await twoAgents()
    const records: DecisionRecord[] = []
    const note = (record: unknown): void => void records.push(record as DecisionRecord)
    decisionChannel.subscribe(note)
    onTestFinished(() => void decisionChannel.unsubscribe(note))
    const epoch = two.seam.policy.explain({ workload: 'batch', bytes: 1, from: 'prefill-0' }).epoch
    await handOff(two)
    using armed = two.seam.faults.arm('*=off')
    await handOff(two)
    armed.disarm()
    await handOff(two)
    expect(records.filter((record) => record.epoch === epoch).map((record) => record.faulted)).toEqual([
      false,
      true,
      false,
    ])
  })

  it('publishes what fires on kvseam:fault', async () => {
    warnings()
    const two = await twoAgents()
    const seen: (Firing & { seed: string })[] = []
    const note = (firing: unknown): void => void seen.push(firing as Firing & { seed: string })
    faultChannel.subscribe(note)
    onTestFinished(() => void faultChannel.unsubscribe(note))
    using armed = two.seam.faults.arm('seed=77123;rail1.read=delay(1ms)')
    await post(two, { n: 1 }).settled
    expect(armed.firings).toHaveLength(1)
    expect(seen.filter((firing) => firing.seed === '77123')).toEqual([
      { rule: 1, step: 1, path: rail(1), op: 'read', seq: 1, action: 'delay', value: 1e6, seed: '77123' },
    ])
  })

  it('meets agents that are opened later', async () => {
    warnings()
    const seam = await openSeam({ faults: 'late.register=error(memlock)' })
    onTestFinished(() => seam.close())
    const agent = await seam.agent('late')
    expect(() => agent.allocate(4096)).toThrow(expect.objectContaining({ code: 'KVSEAM_REGISTRATION_FAILED' }))
  })

  it('refuses kill unless that is allowed', async () => {
    warnings()
    const { seam } = await twoAgents()
    expect(() => seam.faults.arm('*=kill')).toThrow(
      expect.objectContaining({
        code: 'KVSEAM_FAULTS_REFUSED',
        message: 'kill ends this process at once; set KVSEAM_FAULTS_ALLOW_KILL=1 if that is meant',
      }),
    )
    expect(seam.faults.armed).toBe(false)
  })

  it('arms nothing when an agent refuses', async () => {
    warnings()
    const two = await twoAgents()
    const { native } = two.decode
    const refusing = vi.spyOn(native, 'armFaults').mockImplementationOnce(() => {
      throw new SeamError('KVSEAM_FAULTS_REFUSED', {}, 'not on this one')
    })
    expect(() => two.seam.faults.arm('*=drop')).toThrow('not on this one')
    refusing.mockRestore()
    expect(two.seam.faults.armed).toBe(false)
    await post(two).settled
  })
})

describe('a spec that is wrong', () => {
  it.each([
    [
      'rail0.wrte=drop',
      "arm(), line 1, column 7: unknown operation 'wrte' (did you mean write?); if it belongs to the name, write 'rail0.wrte.*'\n" +
        '  rail0.wrte=drop\n        ^',
    ],
    [
      'rail0=drop\nrail1=dely(3ms)',
      "arm(), line 2, column 7: unknown action 'dely' (did you mean delay?)\n  rail1=dely(3ms)\n        ^",
    ],
    ['*=delay(5)', 'arm(), line 1, column 10: a time needs a unit: ns us ms s m\n  *=delay(5)\n           ^'],
    [
      '*=error(timout)',
      "arm(), line 1, column 9: unknown error 'timout' (did you mean timeout?)\n  *=error(timout)\n          ^",
    ],
    [
      '*=drop{evry=2}',
      "arm(), line 1, column 8: unknown filter 'evry' (did you mean every?)\n  *=drop{evry=2}\n         ^",
    ],
    ['*=0%drop', 'arm(), line 1, column 3: 0% never happens; leave the step out\n  *=0%drop\n    ^'],
    ['', 'arm(), line 1, column 1: there is no rule; give at least one, such as rail0.read=delay(20ms)\n  \n  ^'],
  ])('%j is told with its place', async (spec, message) => {
    const { seam } = await twoAgents()
    expect(() => seam.faults.arm(spec)).toThrow(expect.objectContaining({ code: 'KVSEAM_FAULTS_SYNTAX', message }))
    expect(seam.faults.armed).toBe(false)
  })

  it('carries the place as facts', async () => {
    const { seam } = await twoAgents()
    expect(() => seam.faults.arm('rail0=drop\n  rail1=drp')).toThrow(
      expect.objectContaining({
        code: 'KVSEAM_FAULTS_SYNTAX',
        facts: { origin: 'arm()', line: 2, column: 9, source: '  rail1=drp', caret: 8 },
      }),
    )
    expect(() => seam.faults.arm(7 as unknown as string)).toThrow(
      expect.objectContaining({ code: 'KVSEAM_INVALID_ARGUMENT' }),
    )
  })
})

describe('pause', () => {
  it('is a meeting point without sleeping: whenPaused, look, resume', async () => {
    warnings()
    const two = await twoAgents()
    using armed = two.seam.faults.arm('rail1.read=off;rail0.read=1*pause')
    const transfer = post(two, { blocks: [0] })
    await armed.whenPaused(2)
    expect(armed.report().rules[1]).toMatchObject({ paused: 1, fired: 1 })
    expect(two.target.view()[0]).toBe(0)
    await post(two, { blocks: [1] }).settled // the second is not paused
    expect(two.target.view()[BLOCK]).not.toBe(0)
    armed.resume(2)
    await transfer.settled
    expect(two.target.read(0, 2 * BLOCK)).toEqual(two.source.read(0, 2 * BLOCK))
    expect(armed.report().rules[1]).toMatchObject({ paused: 0 })
    expect(() => armed.resume(3)).toThrow(expect.objectContaining({ code: 'KVSEAM_INVALID_ARGUMENT' }))
  })

  it('ends when it is disarmed, for the transfer and for those who wait for it', async () => {
    warnings()
    const two = await twoAgents()
    const armed = two.seam.faults.arm('rail0.read=pause;rail1.read=pause')
    const transfer = post(two)
    await armed.whenPaused(1)
    const never = armed.whenPaused(2)
    armed.disarm()
    await expect(never).rejects.toThrow('disarmed before anything was paused')
    await transfer.settled
    armed.resume(1) // says nothing: there is nothing left to resume
  })

  it('holds a transfer that can still be cancelled', async () => {
    warnings()
    const two = await twoAgents()
    using armed = two.seam.faults.arm('rail0.read=pause')
    const transfer = post(two)
    await armed.whenPaused()
    transfer.cancel()
    expect(await errorOf(transfer.settled)).toMatchObject({ code: 'KVSEAM_CANCELLED' })
    await transfer.quiesced
  })
})

describe('block', () => {
  it('keeps the JavaScript thread busy while the bytes move on', async () => {
    warnings()
    const two = await twoAgents()
    using armed = two.seam.faults.arm('rail0.read=1*block(150ms)')
    const start = performance.now()
    const outcome = await post(two).settled
    expect(performance.now() - start).toBeGreaterThanOrEqual(145)
    expect(outcome.totalNs).toBeLessThan(150e6)
    expect(armed.firings).toEqual([expect.objectContaining({ action: 'block', value: 150e6 })])
  })
})

describe('check(), for what TypeScript does itself', () => {
  it('adds times up, keeps the first outcome and counts each call', async () => {
    warnings()
    const { seam } = await twoAgents()
    using armed = seam.faults.arm(
      'rail0.probe=delay(5ms);rail0.probe=2*error(timeout)->late(7ms);*.release=drop{class=batch}',
    )
    seam.faults.arm('*.probe=delay(1ms)')
    expect(seam.faults.check('probe', rail(0))).toMatchObject({
      delayMs: 6,
      outcome: 'error',
      error: { code: 'KVSEAM_TIMEOUT' },
    })
    expect(seam.faults.check('probe', rail(1))).toEqual({ delayMs: 1, blockMs: 0, lateMs: 0, outcome: null })
    seam.faults.check('probe', rail(0))
    expect(seam.faults.check('probe', rail(0))).toMatchObject({ outcome: 'late', lateMs: 7 })
    expect(seam.faults.check('release', rail(0), { workload: 'release' })).toBeNull()
    expect(seam.faults.check('release', rail(0), { workload: 'batch' })).toMatchObject({ outcome: 'drop' })
    expect(armed.report().rules.map((rule) => rule.fired)).toEqual([3, 3, 1])
  })
})
