// Rows 52 and 60: a backend that is not there, and fault flags that are left on.

import { describe, expect, onTestFinished, vi } from 'vitest'
import { openSeam } from '../../src/index.js'
import { row } from './row.js'
import { Subject } from './subject.js'

describe('a backend', () => {
  row(52, 'that is not there is refused with the reason, and the others work', async () => {
    const missing = await openSeam({ backend: 'nowhere' }).then(
      () => null,
      (error: unknown) => error,
    )
    expect(missing).toMatchObject({ code: 'KVSEAM_BACKEND_UNAVAILABLE', message: expect.stringContaining('nowhere') })
    for (const name of ['../mock', '/tmp/x', 'mock.so', '']) {
      await expect(openSeam({ backend: name })).rejects.toMatchObject({
        code: expect.stringMatching(/^KVSEAM_(BACKEND_UNAVAILABLE|INVALID_ARGUMENT|CONFIG_INVALID)$/),
      })
    }
    await (await Subject.open()).handOff()
  })
})

describe('fault flags', () => {
  row(60, 'that are left on are refused by a backend that is not the mock, and never go unnoticed', async () => {
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    vi.stubEnv('KVSEAM_FAULTS', '*.read=1%drop')
    onTestFinished(() => {
      vi.unstubAllEnvs()
      warned.mockRestore()
    })
    const seam = await openSeam()
    onTestFinished(() => seam.close())
    expect(warned).toHaveBeenCalledWith(expect.stringContaining('faults are armed by KVSEAM_FAULTS'), {
      code: 'KVSEAM_W_FAULTS_ARMED',
    })
    expect(seam.faults.armed).toBe(true)
  })
})
