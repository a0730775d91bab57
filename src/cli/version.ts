// The version command: what a bug report should begin with.

import { readFileSync } from 'node:fs'
import type { CommandIo } from './command.js'
import { EXIT } from './exit-code.js'
import { type CommandSyntax, helpLines, parseOptions } from './options.js'

const SYNTAX = {
  name: 'version',
  summary: 'Prints the version of kvseam, of Node.js and the platform.',
  options: { json: { kind: 'flag', help: 'print one JSON object' } },
} as const satisfies CommandSyntax

export async function versionCommand(argv: string[], io: CommandIo): Promise<number> {
  const parsed = parseOptions(SYNTAX, argv)
  if (parsed.help) {
    for (const line of helpLines(SYNTAX, io)) io.stdout(line)
    return EXIT.ok
  }
  const facts = { kvseam: packageVersion(), node: process.version, platform: process.platform, arch: process.arch }
  io.stdout(
    parsed.values.json
      ? JSON.stringify(facts)
      : `kvseam ${facts.kvseam} (node ${facts.node}, ${facts.platform} ${facts.arch})`,
  )
  return EXIT.ok
}

/** package.json lies two folders up from src/cli/ and from dist/cli/ alike. */
function packageVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return String((JSON.parse(text) as { version?: unknown }).version)
}
