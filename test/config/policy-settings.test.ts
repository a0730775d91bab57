// Where a setting comes from, which source wins, what a bad one says, and that a bad reload changes nothing.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  canonicalSettings,
  policyHash,
  withEnvironment,
  withSettings,
  withTexts,
} from '../../src/config/policy-settings.js'
import { settingsFrom } from '../../src/config/policy-source.js'
import { openSeam } from '../../src/index.js'
import { DEFAULT_SETTINGS, SETTING_NAMES } from '../../src/policy/settings.js'

let folder: string
let file: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kvseam-config-'))
  file = join(folder, 'policy.json')
})
afterEach(() => rmSync(folder, { recursive: true }))

describe('settings', () => {
  test('of options override the environment, which overrides the file, which overrides the defaults', () => {
    writeFileSync(file, JSON.stringify({ tickMs: 100, minSamples: 6, noiseUs: 1 }))
    const env = { KVSEAM_POLICY_MIN_SAMPLES: '7', KVSEAM_POLICY_NOISE_US: '2', OTHER: 'x' }
    const settings = settingsFrom({ file, env, options: { noiseUs: 3 } })
    expect(settings).toMatchObject({ tickMs: 100, minSamples: 7, noiseUs: 3, staleMs: DEFAULT_SETTINGS.staleMs })
  })

  test('come from the file that the environment names, unless the options name one', () => {
    writeFileSync(file, JSON.stringify({ tickMs: 100 }))
    expect(settingsFrom({ file: undefined, env: { KVSEAM_POLICY_FILE: file }, options: undefined }).tickMs).toBe(100)
  })

  test('each have a variable of their own', () => {
    for (const name of SETTING_NAMES) {
      const variable = `KVSEAM_POLICY_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`
      const value = DEFAULT_SETTINGS[name]
      const text = Array.isArray(value) ? '' : String(value)
      expect(withEnvironment(DEFAULT_SETTINGS, { [variable]: text })[name]).toEqual(value)
    }
  })

  test.each([
    [{ upUsabel: 0.4 }, /options\.policy\.upUsabel; there is no such setting.*upUsable/],
    [{ upUsable: 1.4 }, /options\.policy\.upUsable is 1\.4; it must be a number from 0 to 1/],
    [{ tickMs: 10.5 }, /tickMs is 10\.5; it must be a whole number/],
    [{ tickMs: Number.NaN }, /tickMs is NaN/],
    [{ tickMs: '100' }, /tickMs is "100"; it must be a whole number/],
    [{ ablate: ['canari'] }, /ablate is "canari"; known are .*canary/],
    [{ upUsable: 0.6, upRestricted: 0.5 }, /upRestricted is 0\.5; it must be at least upUsable, which is 0\.6/],
    [{ holdMs: 70_000 }, /holdMostMs is 60000; it must be at least holdMs/],
  ])('that make no sense are refused with the place: %j', (changes, text) => {
    expect(() => withSettings(DEFAULT_SETTINGS, changes, 'options.policy')).toThrow(text)
  })

  test('of a misspelt variable, or of a file that is none, are refused with the source', () => {
    expect(() => withEnvironment(DEFAULT_SETTINGS, { KVSEAM_POLICY_TIK_MS: '1' })).toThrow(/KVSEAM_POLICY_TICK_MS/)
    writeFileSync(file, '{ tickMs: 100 }')
    expect(() => settingsFrom({ file, env: {}, options: undefined })).toThrow(file)
    expect(() => settingsFrom({ file: join(folder, 'none'), env: {}, options: undefined })).toThrow(/none.*ENOENT/)
    expect(() => withTexts(DEFAULT_SETTINGS, ['tickMs'], '--set')).toThrow(/write KEY=VALUE/)
  })

  test('that are equal have equal hashes, whatever their order; other profiles have others', () => {
    const one = withSettings(DEFAULT_SETTINGS, { tickMs: 100, ablate: ['canary', 'hold', 'canary'] }, 'a')
    const two = withSettings(withSettings(DEFAULT_SETTINGS, { ablate: ['hold', 'canary'] }, 'b'), { tickMs: 100 }, 'b')
    expect(canonicalSettings(one)).toBe(canonicalSettings(two))
    expect(policyHash('default', one)).toBe(policyHash('default', two))
    expect(policyHash('default', one)).not.toBe(policyHash('isolate', one))
    expect(policyHash('default', one)).not.toBe(policyHash('default', DEFAULT_SETTINGS))
  })
})

describe('a reload', () => {
  test('takes the file as it is now, names the new hash in records, and keeps states and leases', async () => {
    writeFileSync(file, JSON.stringify({ minSamples: 6 }))
    const seam = await openSeam({ policyFile: file, probes: 'off' })
    await seam.agent('a')
    await seam.agent('b')
    const before = seam.policy.policyHash
    const decision = seam.policy.decide({ workload: 'batch', bytes: 64, from: 'a' })
    writeFileSync(file, JSON.stringify({ minSamples: 7 }))
    const after = seam.policy.reload()
    expect(after).not.toBe(before)
    expect(seam.policy.explain({ workload: 'batch', bytes: 64, from: 'a' }).policyHash).toBe(after)
    expect(decision.outcome === 'admitted' && seam.policy.release(decision.lease)).toBe(true)
    expect(seam.policy.reload({ minSamples: 6 })).toBe(before)
    await seam.close()
  })

  test('of a bad file or a bad change is refused whole, and the old settings stay', async () => {
    writeFileSync(file, JSON.stringify({ minSamples: 6 }))
    const seam = await openSeam({ policyFile: file, probes: 'off' })
    const before = seam.policy.policyHash
    writeFileSync(file, JSON.stringify({ minSamples: 8, tickMs: -1 }))
    expect(() => seam.policy.reload()).toThrow(/tickMs is -1/)
    expect(seam.policy.policyHash).toBe(before)
    await seam.close()
  })

  test('is not there for the published rules', async () => {
    const seam = await openSeam({ profile: 'reference' })
    expect(() => seam.policy.reload()).toThrow(expect.objectContaining({ code: 'KVSEAM_NOT_SUPPORTED' }))
    await seam.close()
  })
})
