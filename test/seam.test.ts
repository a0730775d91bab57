// openSeam(): its options, its paths and its log lines.

import { describe, expect, it } from 'vitest'
import { openSeam } from '../src/seam.js'
import { itOnMock } from './backend.js'
import { eventually, openFor, openPair } from './native/pair.js'
import { expectRefusal } from './native/refusal.js'

describe('openSeam()', () => {
  it('works without options and closes by Symbol.asyncDispose', async () => {
    const seam = await openSeam()
    const agent = await seam.agent('a')
    await seam[Symbol.asyncDispose]()
    expect(agent.closed).toBe(true)
  })

  it.each([
    [{ backend: 'nixll' }, 'KVSEAM_BACKEND_UNAVAILABLE', 'nixll'],
    [{ profile: 'strict' }, 'KVSEAM_CONFIG_INVALID', 'options.profile is "strict"'],
    [{ pairing: 'some' }, 'KVSEAM_CONFIG_INVALID', 'options.pairing is "some"'],
    [{ sessionsPerPath: -1 }, 'KVSEAM_OUT_OF_BOUNDS', 'options.sessionsPerPath is -1'],
    [{ deadlineMs: 0 }, 'KVSEAM_OUT_OF_BOUNDS', 'options.deadlineMs is 0'],
    [{ permitTtlMs: Number.NaN }, 'KVSEAM_OUT_OF_BOUNDS', 'options.permitTtlMs is NaN'],
    [{ permitTtl: 5 }, 'KVSEAM_CONFIG_INVALID', 'options.permitTtl'],
    [{ workloads: [{ name: 'a b' }] }, 'KVSEAM_INVALID_ARGUMENT', 'options.workloads[].name is "a b"'],
    [{ workloads: 5 }, 'KVSEAM_CONFIG_INVALID', 'options.workloads is 5'],
    [{ recordLog: 5 }, 'KVSEAM_CONFIG_INVALID', 'options.recordLog is 5'],
    [{ recordLog: '' }, 'KVSEAM_CONFIG_INVALID', 'options.recordLog is ""'],
    [{ logger: {} }, 'KVSEAM_CONFIG_INVALID', 'options.logger is Object'],
    [{ clockUs: 5 }, 'KVSEAM_CONFIG_INVALID', 'options.clockUs is 5'],
    [{ faults: 'rail0.raed=drop' }, 'KVSEAM_FAULTS_SYNTAX', 'read'],
    [null, 'KVSEAM_CONFIG_INVALID', 'options is null'],
    ['mock', 'KVSEAM_CONFIG_INVALID', 'options is "mock"'],
  ])('refuses %j by name', async (options, code, text) => {
    await expectRefusal(async () => await openSeam(options as never), { code: code as never, says: [text] })
  })
})

describe('the paths of a seam', () => {
  it('pair rails of equal position, or all with all', async () => {
    const aligned = await openPair()
    expect([...aligned.seam.paths].map((path) => path.id).sort()).toEqual([
      'decode-0/rail0>prefill-0/rail0',
      'decode-0/rail1>prefill-0/rail1',
      'prefill-0/rail0>decode-0/rail0',
      'prefill-0/rail1>decode-0/rail1',
    ])
    const all = await openPair({ pairing: 'all' })
    expect(all.seam.paths.size).toBe(8)
    expect(all.seam.paths.between('prefill-0', 'decode-0').map((path) => [path.fromRail, path.toRail])).toContainEqual([
      'rail0',
      'rail1',
    ])
  })

  itOnMock('say where their figures come from', async () => {
    const { seam } = await openPair()
    expect(seam.backend).toMatchObject({ name: 'mock', label: 'mock', provider: 'memory' })
    expect([...seam.paths].every((path) => path.label === 'mock')).toBe(true)
  })

  it('tell the logger when a peer goes down', async () => {
    const lines: { fields: object; message: string }[] = []
    const log = (fields: object, message: string): void => void lines.push({ fields, message })
    const seam = await openFor({ logger: { info: log, warn: log } })
    const far = await openFor()
    const agent = await seam.agent('prefill-0')
    await seam.connect(agent, (await far.agent('decode-0')).metadata())
    await far.close()
    await eventually('told', () => lines.length > 0)
    expect(lines).toEqual([
      { fields: { agent: 'prefill-0', peer: 'decode-0', err: expect.any(Error) }, message: 'peer is down' },
    ])
  })
})
