// `kvseam reference check FILE`: holds the reference profile against a file of published cases. A file that cannot be
// read or understood is KVSEAM_VECTORS_INVALID, so that it never counts as passed.

import { readFile } from 'node:fs/promises'
import { SeamError } from '../errors.js'
import { type CaseResult, checkVectors, type VectorReport } from '../policy/reference/vectors.js'
import type { CommandIo } from './command.js'
import { EXIT } from './exit-code.js'
import { type CommandSyntax, helpLines, parseOptions } from './options.js'

const SYNTAX = {
  name: 'reference',
  summary:
    'Checks every case of a file (JSON lines of kind, id, input, expected) against the reference policy. ' +
    'Exits 0 when all pass and 1 when some fail.',
  positionals: [
    { name: 'action', help: '"check"', required: true },
    { name: 'file', help: 'JSON lines of reference cases', required: true },
  ],
  options: {
    json: { kind: 'flag', help: 'print one JSON object' },
    'max-failures': { kind: 'integer', min: 0, help: 'failing cases to print; the totals still count all of them' },
  },
  examples: ['kvseam reference check prototype-vectors.jsonl'],
} as const satisfies CommandSyntax

/** @param argv what follows `kvseam reference` */
export async function referenceCommand(argv: string[], io: CommandIo): Promise<number> {
  const { help, values, positionals } = parseOptions(SYNTAX, argv)
  if (help) {
    for (const line of helpLines(SYNTAX, io)) io.stdout(line)
    return EXIT.ok
  }
  const [action, file] = positionals as [string, string]
  if (action !== 'check') {
    throw new SeamError(
      'KVSEAM_USAGE',
      { command: SYNTAX.name, argument: action },
      `reference: unknown action ${JSON.stringify(action)}; write "kvseam reference check FILE"`,
    )
  }
  const report = checkVectors(await readVectors(file), file)
  const printed = report.failures.slice(0, values['max-failures'])
  const lines = values.json ? [jsonReport(file, report, printed)] : textReport(report, printed)
  for (const line of lines) io.stdout(line)
  return report.failed === 0 ? EXIT.ok : EXIT.failure
}

async function readVectors(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    const problem = (error as Error).message
    throw new SeamError(
      'KVSEAM_VECTORS_INVALID',
      { file, line: 0, problem },
      `${file} cannot be read (${problem}); give the path of a JSON-lines file of reference cases`,
      { cause: error },
    )
  }
}

function textReport(report: VectorReport, printed: readonly CaseResult[]): string[] {
  const unprinted = report.failed - printed.length
  return [
    ...printed.map(failureLine),
    ...(unprinted === 0 ? [] : [`... and ${unprinted} more failing cases`]),
    `${report.passed} passed, ${report.failed} failed`,
  ]
}

/** The first difference speaks for the case: in a trace all later ones follow from it. */
function failureLine(failure: CaseResult): string {
  const [first, ...others] = failure.mismatches
  const { field, expected, got } = first!
  const more = others.length === 0 ? '' : ` (and ${others.length} more fields)`
  return `FAIL ${failure.id} (line ${failure.line}) ${field}: expected ${show(expected)}, got ${show(got)}${more}`
}

/** JSON, except that a number JSON cannot carry shows as what it is. */
function show(value: unknown): string {
  return typeof value === 'number' ? String(value) : JSON.stringify(value)
}

function jsonReport(file: string, report: VectorReport, printed: readonly CaseResult[]): string {
  return JSON.stringify({ file, passed: report.passed, failed: report.failed, failures: printed })
}
