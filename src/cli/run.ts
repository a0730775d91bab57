// Finds the command that was asked for, runs it, and turns whatever happens into lines and an exit code.

import { inspect } from 'node:util'
import { didYouMean } from '../did-you-mean.js'
import { SeamError } from '../errors.js'
import type { CommandEntry, CommandIo } from './command.js'
import { EXIT, exitCodeOf } from './exit-code.js'
import { paint, printable, table, wrapped } from './text.js'

const ALIASES = new Map([
  ['--help', 'help'],
  ['-h', 'help'],
  ['--version', 'version'],
  ['-v', 'version'],
])

/**
 * Runs one command line. Never throws.
 * @param argv what stands after the program's name
 * @returns the exit code
 */
export async function run(argv: readonly string[], commands: readonly CommandEntry[], io: CommandIo): Promise<number> {
  try {
    return await dispatch(argv, commands, io)
  } catch (error) {
    report(error, io)
    return exitCodeOf(error)
  }
}

async function dispatch(argv: readonly string[], commands: readonly CommandEntry[], io: CommandIo): Promise<number> {
  const [first, ...rest] = argv
  if (first === undefined) {
    for (const line of overview(commands, io)) io.stderr(line)
    return EXIT.usage
  }
  const name = ALIASES.get(first) ?? first
  if (name === 'help') {
    const topic = rest.find((word) => !word.startsWith('-'))
    if (topic !== undefined && topic !== 'help') return (await found(topic, commands).load())(['--help'], io)
    for (const line of overview(commands, io)) io.stdout(line)
    return EXIT.ok
  }
  return (await found(name, commands).load())(rest, io)
}

function found(name: string, commands: readonly CommandEntry[]): CommandEntry {
  const entry = commands.find((each) => each.name === name)
  if (entry !== undefined) return entry
  const known = [...commands.map((each) => each.name), 'help']
  const what = name.startsWith('-') ? `option ${name} before a command` : `command ${JSON.stringify(name)}`
  throw new SeamError(
    'KVSEAM_USAGE',
    { command: name, known },
    `unknown ${what}${didYouMean(name, known)}; run "kvseam help" for the list`,
  )
}

function overview(commands: readonly CommandEntry[], io: CommandIo): string[] {
  const { bold } = paint(io)
  const entries = [...commands, { name: 'help', summary: 'print this list, or the help of one command' }]
  const widest = Math.max(...entries.map((each) => each.name.length))
  const rows = entries.flatMap((each) =>
    wrapped(each.summary, io.columns - widest - 4).map((line, i) => ['', i === 0 ? each.name : '', line]),
  )
  return [
    `${bold('usage:')} kvseam <command> [options]`,
    '',
    'Moves KV-cache blocks between prefill and decode hosts, and admits no transfer its policy has not allowed.',
    '',
    bold('commands:'),
    ...table(rows),
    '',
    'Run "kvseam help <command>" for its options. KVSEAM_DEBUG=1 adds the facts of an error; NO_COLOR=1 takes colour away.',
    'Exit codes: 0 ok, 1 failure, 2 usage, 3 gate failed, 4 backend missing, 130 interrupted.',
  ].flatMap((line) => (line.startsWith(' ') ? [line] : wrapped(line, io.columns)))
}

/** `error: CODE: message`; with KVSEAM_DEBUG the facts, the cause and the stack below it. */
function report(error: unknown, io: CommandIo): void {
  const debug = !['', '0', undefined].includes(io.env['KVSEAM_DEBUG'])
  const text = error instanceof Error ? error.message : String(error)
  const [first, ...more] = (SeamError.is(error) ? `${error.code}: ${text}` : text).split('\n')
  io.stderr(`error: ${printable(first!)}`)
  for (const line of more) io.stderr(`  ${printable(line)}`)
  if (!debug) {
    if (!SeamError.is(error)) io.stderr('  (set KVSEAM_DEBUG=1 for the stack)')
    return
  }
  const details: string[] = []
  if (SeamError.is(error)) details.push(...`facts: ${inspect(error.facts, { depth: 4 })}`.split('\n'))
  if (error instanceof Error) {
    if (error.cause !== undefined) details.push(...`cause: ${inspect(error.cause)}`.split('\n'))
    details.push(...(error.stack ?? '').split('\n').slice(1))
  }
  for (const line of details) io.stderr(`  ${printable(line)}`)
}
