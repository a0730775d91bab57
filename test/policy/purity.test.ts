// The policy must replay to the same bytes anywhere: no clock, no I/O, no randomness, no function the language leaves open.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '../../src/policy')
/** Reads vector files for `kvseam reference`; no part of a decision. */
const TOOLS = /vector/

const files = readdirSync(ROOT, { recursive: true, encoding: 'utf8' }).filter(
  (name) => name.endsWith('.ts') && !TOOLS.test(name),
)

test.each(files)('%s is pure', (name) => {
  const code = readFileSync(join(ROOT, name), 'utf8').replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')
  expect(code).not.toMatch(/from 'node:|\bDate\b|\bperformance\b|\bprocess\./)
  expect(code).not.toMatch(/Math\.(random|log|log2|log10|exp|pow|sin|cos|tan|cbrt|hypot)\b/)
  for (const [, module] of code.matchAll(/from '(\.\.\/\.\.\/[^']+|\.\.\/\.\.\/\.\.\/[^']+)'/g)) {
    expect(['../../errors.js', '../../random.js']).toContain(module)
  }
})

test('there is something to check', () => {
  expect(files.length).toBeGreaterThan(30)
})
