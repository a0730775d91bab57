// The doctor command: what this machine and this package have and lack for moving KV blocks, and what to do about it.

import type { Finding } from '../doctor/finding.js'
import { machineFindings } from '../doctor/machine.js'
import { packageFindings } from '../doctor/package.js'
import type { CommandIo } from './command.js'
import { EXIT } from './exit-code.js'
import { type CommandSyntax, helpLines, parseOptions } from './options.js'
import { type Paint, paint, printable, wrapped } from './text.js'

const SYNTAX = {
  name: 'doctor',
  summary:
    'Says what this machine has and lacks: runtime, addon, backends with the reason when one is not available, limits, devices.',
  options: {
    backend: { kind: 'text', value: 'NAME', help: 'backend that has to be there; exit code 4 when it is not' },
    json: { kind: 'flag', help: 'print the findings as one JSON object' },
  },
  examples: ['kvseam doctor', 'kvseam doctor --backend ucx --json'],
} as const satisfies CommandSyntax

export async function doctorCommand(argv: string[], io: CommandIo): Promise<number> {
  const parsed = parseOptions(SYNTAX, argv)
  if (parsed.help) {
    for (const line of helpLines(SYNTAX, io)) io.stdout(line)
    return EXIT.ok
  }
  const findings = [...packageFindings(parsed.values.backend), ...machineFindings({ root: '/' }, io.env)]
  if (parsed.values.json) {
    io.stdout(JSON.stringify({ schema: 'kvseam.doctor/1', findings }))
  } else {
    for (const line of report(findings, paint(io), io.columns)) io.stdout(line)
  }
  const missing = findings.filter((finding) => finding.status === 'missing')
  if (missing.length === 0) return EXIT.ok
  return missing.some((finding) => finding.name.startsWith('backend.') || finding.name === 'addon')
    ? EXIT.backendMissing
    : EXIT.failure
}

function report(findings: readonly Finding[], colours: Paint, columns: number): string[] {
  const marks = { ok: colours.green('ok     '), note: colours.yellow('note   '), missing: colours.red('missing') }
  const indent = ' '.repeat(10)
  const lines = findings.flatMap(({ status, found, remedy }) => [
    ...wrapped(printable(found.split('\n')[0]!), columns - 10).map((line, i) =>
      i === 0 ? `${marks[status]}   ${line}` : indent + line,
    ),
    ...(remedy ?? '')
      .split('\n')
      .filter((line) => line !== '')
      .flatMap((line) =>
        wrapped(printable(line), columns - 12).map(
          (each, i) => `${indent}${i === 0 ? '> ' : '  '}${colours.dim(each)}`,
        ),
      ),
  ])
  const missing = findings.filter((finding) => finding.status === 'missing').length
  return [
    ...lines,
    '',
    missing === 0 ? 'Nothing that was asked for is missing.' : `${missing} missing: see the remedies above.`,
  ]
}
