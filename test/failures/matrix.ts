// Writes docs/failure-matrix.md from the rows and from the tests that exist: a row without a test says why.

import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { INVARIANTS } from './invariants.js'
import { FAILURE_ROWS } from './rows.js'

const here = fileURLToPath(new URL('.', import.meta.url))
const native = fileURLToPath(new URL('../../native/test/', import.meta.url))
export const MATRIX_FILE = fileURLToPath(new URL('../../docs/failure-matrix.md', import.meta.url))

export interface RowTest {
  readonly number: number
  readonly file: string
  readonly name: string
}

/** Calls of row() in the test files, by their literal arguments. */
export function rowTests(): RowTest[] {
  const files = readdirSync(here).filter((file) => file.endsWith('.test.ts'))
  return files.sort().flatMap((file) => {
    const text = readFileSync(`${here}${file}`, 'utf8')
    return [...text.matchAll(/\brow(?:OnMock)?\(\s*(\d+),\s*(['"])(.+?)\2,/g)].map((match) => {
      const before = text.slice(0, match.index)
      const subject = [...before.matchAll(/\bdescribe\(\s*'(.+?)'/g)].at(-1)?.[1] ?? ''
      return { number: Number(match[1]), file, name: `${subject} ${match[3]}` }
    })
  })
}

/** `Suite.Name` of every C++ test. */
export function nativeTests(): Set<string> {
  const names = new Set<string>()
  for (const file of readdirSync(native).filter((name) => name.endsWith('_test.cc'))) {
    const text = readFileSync(`${native}${file}`, 'utf8')
    for (const match of text.matchAll(/\bTEST(?:_F|_P)?\((\w+), (\w+)\)/g)) names.add(`${match[1]}.${match[2]}`)
  }
  return names
}

export function renderMatrix(): string {
  const tests = rowTests()
  const covered = FAILURE_ROWS.filter(
    (row) =>
      row.elsewhere !== undefined || row.native !== undefined || tests.some((test) => test.number === row.number),
  )
  const whole = covered.filter((row) => row.open === undefined)
  const lines = FAILURE_ROWS.map((row) => {
    const mine = tests.filter((test) => test.number === row.number)
    const shown = [
      ...mine.map((test) => `${test.name} (\`${test.file}\`)`),
      ...(row.native ?? []).map((name) => `\`${name}\``),
      ...(row.elsewhere ?? []).map(([file, name]) => `${name} (\`${file}\`)`),
    ]
    if (row.open !== undefined) shown.push(`**not yet covered:** ${row.open}`)
    return `| ${row.number} | ${row.fault} | ${row.expected} | ${shown.join('<br>')} |`
  })
  return `# Failure matrix

Written by \`npm run matrix\` from \`test/failures/\`; a test fails when it is out of date. Every fault is injected on the
\`mock\` backend, into processes that the tests start, into clocks or into files: nothing here was shown on a network.

${whole.length} of ${FAILURE_ROWS.length} rows are covered, ${covered.length - whole.length} in part, ${FAILURE_ROWS.length - covered.length} not yet.

The oracles are in \`test/failures/oracles/\`: the settle ledger (each transfer settles once, in time, and both sides of the
native boundary count the same), shadow memory (a pattern for each transfer, canaries around it), the capacity model (sessions
are what was taken and not given back), the decision re-evaluator (every record is judged again, from itself and from the
samples before it), and, for a process of its own, the count of regions, threads, descriptors and resident bytes.

| # | fault | what must happen | tests |
| --- | --- | --- | --- |
${lines.join('\n')}

## Invariants of transfers, memory, logs and faults

| | what always holds | held by |
| --- | --- | --- |
${INVARIANTS.map(invariantLine).join('\n')}
`
}

function invariantLine({ name, text, where, open }: (typeof INVARIANTS)[number]): string {
  const shown = where.map((file) => `\`${file}\``)
  if (open !== undefined) shown.push(`**not yet covered:** ${open}`)
  return `| ${name} | ${text} | ${shown.join('<br>')} |`
}
