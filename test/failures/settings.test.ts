// Row 50: settings that are read again while everything runs. Bad ones are refused whole.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, onTestFinished } from 'vitest'
import { openSeam, SeamError } from '../../src/index.js'
import { SETTINGS } from '../../src/policy/settings.js'
import { row } from './row.js'

describe('settings', () => {
  row(50, 'read again with anything wrong are refused whole, name the place, and the old ones stay', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'kvseam-settings-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const file = join(folder, 'policy.json')
    writeFileSync(file, '{}')
    const seam = await openSeam({ profile: 'default', policyFile: file })
    onTestFinished(() => seam.close())
    const hash = seam.policy.policyHash
    const numbers = Object.entries(SETTINGS).filter(([, setting]) => setting.kind === 'number')
    const good = Object.fromEntries(numbers.slice(0, 4).map(([key, setting]) => [key, setting.value]))
    const bad = fc.oneof(
      fc.constantFrom<unknown>('', 'x', true, [], {}, Number.MAX_VALUE, -1e308, '12'),
      fc.double({ min: -1e300, max: -1e-9, noNaN: true }),
    )
    fc.assert(
      fc.property(fc.constantFrom(...numbers), bad, ([key], value) => {
        writeFileSync(file, JSON.stringify({ ...good, [key]: value }))
        let error: unknown
        try {
          seam.policy.reload()
        } catch (thrown) {
          error = thrown
        }
        expect(SeamError.is(error, 'KVSEAM_CONFIG_INVALID'), `${key}=${JSON.stringify(value)}`).toBe(true)
        expect((error as SeamError).message).toContain(key)
        expect(seam.policy.policyHash).toBe(hash)
      }),
      { numRuns: 200 },
    )
    for (const text of ['', '{', '[]', '7', '{"noSuchSetting": 1}']) {
      writeFileSync(file, text)
      expect(() => seam.policy.reload(), text).toThrow(expect.objectContaining({ code: 'KVSEAM_CONFIG_INVALID' }))
      expect(seam.policy.policyHash).toBe(hash)
    }
    writeFileSync(file, JSON.stringify(good))
    seam.policy.reload()
  })
})
