// Parity with the published prototype, and proof that the checker would notice its absence.

import { expect, test } from 'vitest'
import { checkVectorLine, checkVectors } from '../../../src/policy/reference/vectors.js'
import { sharedReferenceFile } from './shared-reference.js'

const KINDS = ['gfs', 'prs_fae', 'admissibility', 'transition', 'selection', 'trace']

test('all 2,030 published cases pass', (context) => {
  const { file, text } = sharedReferenceFile('prototype-vectors.jsonl', context)
  const report = checkVectors(text, file)
  expect(report.failures).toEqual([])
  expect(report.passed).toBe(2030)
})

test('every expected value of a case of each kind is really compared', (context) => {
  const { file, text } = sharedReferenceFile('prototype-vectors.jsonl', context)
  const lines = text.trim().split('\n')
  for (const kind of KINDS) {
    // The third of its kind has more in it than the first two.
    const line = lines.filter((each) => each.startsWith(`{"kind":"${kind}"`))[2]!
    const origin = { file, line: 1 }
    expect(checkVectorLine(line, origin).mismatches).toEqual([])
    const places = leaves(JSON.parse(line).expected)
    expect(places.length).toBeGreaterThan(0)
    for (const place of places) {
      const altered = JSON.parse(line)
      alter(altered.expected, place)
      expect(checkVectorLine(JSON.stringify(altered), origin).mismatches, `${kind} ${place.join('.')}`).toHaveLength(1)
    }
  }
})

type Place = readonly (string | number)[]

/** Places of all values that are neither objects nor arrays. */
function leaves(value: unknown, at: Place = []): Place[] {
  if (typeof value !== 'object' || value === null) return [at]
  return Array.isArray(value)
    ? value.flatMap((entry, i) => leaves(entry, [...at, i]))
    : Object.entries(value).flatMap(([name, entry]) => leaves(entry, [...at, name]))
}

/** Changes the value at a place to one that is wrong by the least that counts. */
function alter(root: unknown, place: Place): void {
  let holder = root as Record<string | number, unknown>
  for (const step of place.slice(0, -1)) holder = holder[step] as Record<string | number, unknown>
  const last = place.at(-1)!
  const value = holder[last]
  if (typeof value === 'number') holder[last] = value + 2 * toleranceAt(place) * Math.max(1, Math.abs(value))
  else if (typeof value === 'boolean') holder[last] = !value
  else holder[last] = `${value} `
}

function toleranceAt(place: Place): number {
  const rounded = place.includes('candidates') && ['gfs', 'prs', 'fae'].includes(String(place.at(-1)))
  return rounded ? 6e-5 : 1e-9
}
