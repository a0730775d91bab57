// I26: a log that is cut anywhere is a prefix of itself, and at most its last line is torn.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, it, onTestFinished } from 'vitest'
import { openSeam } from '../../src/index.js'

it('holds whole records up to any cut, and a torn rest that is none', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'kvseam-prefix-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'log.jsonl')
  const seam = await openSeam({ recordLog: file })
  await seam.agent('prefill-0')
  await seam.agent('decode-0')
  for (let i = 0; i < 20; i++) {
    const decision = seam.policy.decide({ workload: 'batch', bytes: 4096 + i, from: 'prefill-0', requestId: `ü-${i}` })
    if (decision.outcome === 'admitted') seam.policy.abandon(decision)
  }
  await seam.close()
  const whole = readFileSync(file)
  const records = whole.toString('utf8').trimEnd().split('\n')
  const parsed = records.map((line) => JSON.parse(line) as { schema: string; seq: number })
  expect(parsed.filter(({ schema }) => schema === 'kvseam.decision/1')).toHaveLength(20)
  expect(parsed.map(({ seq }) => seq)).toEqual(records.map((_, i) => i + 1))
  fc.assert(
    fc.property(fc.integer({ min: 0, max: whole.length }), (cut) => {
      const lines = whole.subarray(0, cut).toString('utf8').split('\n')
      const torn = lines.pop()!
      expect(lines).toEqual(records.slice(0, lines.length))
      if (torn !== '' && torn !== records[lines.length]) expect(() => JSON.parse(torn)).toThrow()
    }),
    { numRuns: 400 },
  )
})
