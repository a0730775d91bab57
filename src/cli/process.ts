// Joins the CLI to this process: standard streams, signals, exit code. All that cannot be tested without a process is here.

import { constants } from 'node:os'
import type { CommandEntry, CommandIo } from './command.js'
import { run } from './run.js'

const SHOW_CURSOR = '\x1b[?25h'
/** Time a command has to clean up after Ctrl-C before the process ends all the same. */
const GRACE_MS = 3000

/** Runs the process's command line and sets its exit code; the process then ends by itself, when nothing is open. */
export async function runProcess(commands: readonly CommandEntry[]): Promise<void> {
  const interruption = new AbortController()
  let interruptedBy: 'SIGINT' | 'SIGTERM' | undefined
  const onSignal = (name: 'SIGINT' | 'SIGTERM') => {
    const code = 128 + constants.signals[name]
    if (interruptedBy !== undefined) process.exit(code)
    interruptedBy = name
    setTimeout(() => process.exit(code), GRACE_MS).unref()
    interruption.abort(new Error(`interrupted by ${name}`))
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  quietOnBrokenPipe(process.stdout)
  quietOnBrokenPipe(process.stderr)

  const code = await run(process.argv.slice(2), commands, processIo(interruption.signal))
  process.exitCode = interruptedBy === undefined ? code : 128 + constants.signals[interruptedBy]
}

/** The reader of a pipe may leave early (`kvseam … | head`): that is no failure of ours, and there is nobody left to tell. */
function quietOnBrokenPipe(stream: NodeJS.WriteStream): void {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(process.exitCode ?? 0)
    throw error
  })
}

function processIo(signal: AbortSignal): CommandIo {
  const { stdout, stderr } = process
  const isTty = stdout.isTTY === true
  let drawn = false
  const screen = {
    write: (text: string) => {
      drawn = true
      stdout.write(text)
    },
    // Some pseudo-terminals report 0 by 0.
    get rows() {
      return stdout.rows || 24
    },
    get columns() {
      return stdout.columns || 80
    },
  }
  // A command that dies while it draws (a second Ctrl-C, an uncaught error) must not leave the shell without a cursor.
  process.on('exit', () => {
    if (drawn) stdout.write(SHOW_CURSOR)
  })
  return {
    stdout: (line) => void stdout.write(`${line}\n`),
    stderr: (line) => void stderr.write(`${line}\n`),
    isTty,
    get columns() {
      return (isTty && stdout.columns) || 80
    },
    env: process.env,
    screen: isTty ? screen : undefined,
    signal,
  }
}
