// The matrix tells the truth: it is current, every row has a test or a reason, and every test it names exists.

import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { INVARIANTS } from './invariants.js'
import { MATRIX_FILE, nativeTests, renderMatrix, rowTests } from './matrix.js'
import { FAILURE_ROWS } from './rows.js'

describe('the failure matrix', () => {
  it('is current; `npm run matrix` writes it anew', () => {
    expect(readFileSync(MATRIX_FILE, 'utf8')).toBe(renderMatrix())
  })

  it('has each of the 60 rows once, each with a test or with the reason why not', () => {
    expect(FAILURE_ROWS.map((row) => row.number)).toEqual(Array.from({ length: 60 }, (_, i) => i + 1))
    const tested = new Set(rowTests().map((test) => test.number))
    for (const row of FAILURE_ROWS) {
      const shown = tested.has(row.number) || row.elsewhere !== undefined || row.native !== undefined
      if (!shown) expect(row.open, `row ${row.number}`).toBeDefined()
    }
    for (const number of tested) expect(number).toBeLessThanOrEqual(60)
  })

  it('finds every call of row(), so that no test is left out', () => {
    const files = new Set(rowTests().map((test) => test.file))
    for (const file of files) {
      const text = readFileSync(new URL(file, import.meta.url), 'utf8')
      const calls = [...text.matchAll(/\brow(?:OnMock)?\(\s*\d/g)].length
      expect(rowTests().filter((test) => test.file === file)).toHaveLength(calls)
    }
    expect(new Set(rowTests().map((test) => test.name)).size).toBe(rowTests().length)
  })

  it('names files that exist for the invariants', () => {
    for (const { name, where, open } of INVARIANTS) {
      expect(where.length > 0 || open !== undefined, name).toBe(true)
      for (const file of where) expect(existsSync(new URL(`../../${file}`, import.meta.url)), file).toBe(true)
    }
  })

  it('names tests of other parts that exist', () => {
    for (const [file, name] of FAILURE_ROWS.flatMap((row) => row.elsewhere ?? [])) {
      expect(readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8'), name).toContain(name)
    }
  })

  it('names C++ tests that exist', () => {
    const known = nativeTests()
    for (const name of FAILURE_ROWS.flatMap((row) => row.native ?? [])) expect(known, name).toContain(name)
  })
})
