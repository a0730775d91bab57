// Handoffs over UCX, in one process: the same API as the mock's, with the label and the rails of a real transport.

import { afterEach, describe, expect, it } from 'vitest'
import { MiB, openSeam, type Seam, type SeamOptions } from '../../src/index.js'
import { ucxHere } from './ucx-here.js'

let seam: Seam | undefined
afterEach(async () => {
  await seam?.close()
  seam = undefined
})

async function open(options: SeamOptions = {}): Promise<Seam> {
  seam = await openSeam({ backend: 'ucx', rails: [{ name: 'lo', device: 'tcp/lo' }], ...options })
  return seam
}

describe.skipIf(!ucxHere)('a seam over UCX', () => {
  it.each([
    ['tcp/lo', 'ucx/tcp'],
    ['shm', 'ucx/shm'],
  ])('hands verified blocks over on %s and says that it is real', async (device, provider) => {
    const seam = await open({ rails: [{ name: 'only', device }] })
    const from = (await seam.agent('prefill-0')).allocate(4 * MiB, { name: 'kv' })
    const to = (await seam.agent('decode-0')).allocate(4 * MiB, { name: 'kv' })
    from.view().forEach((_, i, all) => {
      if (i % 4096 === 0) all[i] = i / 4096
    })
    const done = await seam.handoff({
      from: from.blocks(65_536, [3, 1, 60]),
      to: to.blocks(65_536, [0, 2, 4]),
      workload: 'batch',
      deadlineMs: 20_000,
    })
    expect(done).toMatchObject({ bytes: 3 * 65_536, verified: true, path: { id: 'prefill-0/only>decode-0/only' } })
    expect(Buffer.compare(to.view().subarray(0, 65_536), from.view().subarray(3 * 65_536, 4 * 65_536))).toBe(0)
    expect(seam.backend).toMatchObject({ name: 'ucx', label: 'real', provider })
    expect(seam.backend.version).toMatch(/^\d+\.\d+\.\d+/)
  })

  it('makes a path of each rail, under the rails of the seam or of the agent', async () => {
    const seam = await open()
    await seam.agent('a')
    await seam.agent('b', { rails: [{ name: 'x', device: 'tcp/lo' }] })
    expect([...seam.paths].map((path) => path.id).sort()).toEqual(['a/lo>b/x', 'b/x>a/lo'])
  })

  it('opens a rail of its own choice when none is named', async () => {
    seam = await openSeam({ backend: 'ucx' })
    const agent = await seam.agent('a')
    expect(agent.info.rails).toMatchObject([{ name: 'tcp' }])
  })

  it('names the rail and the device that are not there', async () => {
    const seam = await open()
    await expect(seam.agent('a', { rails: [{ name: 'east', device: 'tcp/nosuch0' }] })).rejects.toMatchObject({
      code: 'KVSEAM_INVALID_ARGUMENT',
      message: expect.stringMatching(/east.*tcp\/nosuch0/),
    })
  })

  it('refuses faults without the second flag, and meets them with it', async () => {
    const refusing = await open()
    await refusing.agent('a')
    expect(() => refusing.faults.arm('*.read=delay(1ms)')).toThrow(
      expect.objectContaining({ code: 'KVSEAM_FAULTS_REFUSED' }),
    )
    await refusing.close()
    process.env['KVSEAM_FAULTS_ALLOW_REAL'] = '1'
    try {
      const seam = await open()
      const a = await seam.agent('a')
      const b = await seam.agent('b')
      const from = a.allocate(MiB, { name: 'kv' }).blocks(4096, [0])
      const to = b.allocate(MiB, { name: 'kv' }).blocks(4096, [0])
      using _armed = seam.faults.arm('*.read=error(timeout)')
      await expect(seam.handoff({ from, to, workload: 'batch', deadlineMs: 5000 })).rejects.toMatchObject({
        code: 'KVSEAM_TIMEOUT',
      })
    } finally {
      delete process.env['KVSEAM_FAULTS_ALLOW_REAL']
    }
  })

  it('says what loading the library changed', async () => {
    const seam = await open()
    expect(seam.backend.loaded).toMatchObject({ file: expect.stringMatching(/kvseam_ucx\.so$/), twins: [] })
    expect((await openSeam()).backend.loaded).toBeNull()
  })

  it('keeps its bytes when a region is closed under a reader', async () => {
    const seam = await open()
    const from = (await seam.agent('a')).allocate(16 * MiB, { name: 'kv' })
    const to = (await seam.agent('b')).allocate(16 * MiB, { name: 'kv' })
    const ids = Array.from({ length: 512 }, (_, i) => i)
    const blocks = () => ({ from: from.blocks(32_768, ids), to: to.blocks(32_768, ids) })
    await seam.handoff({ ...blocks(), workload: 'batch', deadlineMs: 20_000 })
    const late = blocks()
    await from.close()
    await expect(seam.handoff({ ...late, workload: 'batch', deadlineMs: 20_000 })).rejects.toMatchObject({
      code: 'KVSEAM_STALE_REGION',
    })
  })
})
