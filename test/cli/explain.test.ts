// kvseam explain: every candidate and failing rule of a record in sentences, and what would flip it.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { explainCommand } from '../../src/cli/explain.js'
import type { DecisionRecord } from '../../src/record/decision-record.js'
import { recordedRun } from '../replay/recorded-run.js'
import { fakeIo } from './fake-io.js'

let folder: string
let file: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kvseam-explain-'))
  file = join(folder, 'records.jsonl')
  writeFileSync(file, `${recordedRun('default', 7, 300).join('\n')}\n`)
})
afterEach(() => rmSync(folder, { recursive: true }))

async function explain(...options: string[]): Promise<string> {
  const io = fakeIo({ columns: 10_000 })
  expect(await explainCommand([file, ...options], io)).toBe(0)
  return io.out.join('\n')
}

describe('kvseam explain', () => {
  test('says every candidate of the record, the failing rules with their numbers, and what would flip it', async () => {
    const seen = { refused: false, flipped: false, queued: false }
    for (let n = 0; n < 300; n++) {
      const record = JSON.parse(await explain('--request', `r-${n}`, '--json')) as DecisionRecord
      const text = await explain('--request', `r-${n}`)
      for (const candidate of record.candidates) {
        expect(text).toContain(candidate.path)
        for (const check of candidate.failed) {
          if (check.have === null) continue
          expect(text).toContain(`${check.rule}: `)
          seen.refused = true
        }
      }
      if (record.flips.length > 0) {
        expect(text).toContain('What would have changed it:')
        seen.flipped = true
      }
      if (record.ticket !== null) seen.queued = true
      expect(text).not.toMatch(/undefined|NaN|\[object/)
    }
    expect(seen).toEqual({ refused: true, flipped: true, queued: true })
  })

  test('takes the last decision unless told, and refuses what is not there', async () => {
    expect(await explain()).toContain('request r-299 ')
    const io = fakeIo()
    await expect(explainCommand([file, '--request', 'r-9999'], io)).rejects.toThrow(/no decision about request r-9999/)
    await expect(explainCommand([join(folder, 'none')], io)).rejects.toMatchObject({ code: 'KVSEAM_RECORD_LOG' })
  })
})
