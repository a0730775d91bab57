// What only a real process shows: exit codes, signals, a pipe that closes early, the cursor after a crash.

import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))
const MAIN = 'src/cli/main.ts'
const CHILD = fileURLToPath(new URL('./waiting.child.ts', import.meta.url))

interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly out: string
  readonly err: string
}

function start(
  command: string,
  args: readonly string[],
): { child: ChildProcess; ended: Promise<Ended>; printed: Promise<void> } {
  const child = spawn(command, args, {
    cwd: root,
    env: { ...process.env, KVSEAM_DEBUG: '', NO_COLOR: '1', TERM: 'xterm' },
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const text = { out: '', err: '' }
  child.stderr.on('data', (data) => {
    text.err += data
  })
  const printed = new Promise<void>((resolve) => {
    child.stdout.on('data', (data) => {
      text.out += data
      resolve()
    })
  })
  const ended = new Promise<Ended>((resolve) => {
    child.on('close', (code, signal) => resolve({ code, signal, ...text }))
  })
  return { child, ended, printed }
}

const program = (script: string, ...args: string[]) => start(process.execPath, ['--import', 'tsx', script, ...args])

describe('the program', () => {
  it('prints its version, without loading the addon', async () => {
    const { version } = JSON.parse(readFileSync(`${root}/package.json`, 'utf8')) as { version: string }
    const text = await program(MAIN, '--version').ended
    expect(text).toMatchObject({ code: 0, err: '' })
    expect(text.out).toBe(`kvseam ${version} (node ${process.version}, ${process.platform} ${process.arch})\n`)
    const json = await program(MAIN, 'version', '--json').ended
    expect(JSON.parse(json.out)).toMatchObject({ kvseam: version, node: process.version })
  })

  it('exits with 2 and a suggestion for an unknown command', async () => {
    const { code, out, err } = await program(MAIN, 'verison').ended
    expect(code).toBe(2)
    expect(out).toBe('')
    expect(err).toContain('did you mean version?')
  })

  it('ends quietly when the reader of its output leaves', async () => {
    const { child, ended, printed } = program(CHILD, 'flood')
    await printed
    child.stdout!.destroy()
    expect(await ended).toMatchObject({ code: 0, signal: null, err: '' })
  })

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)(
    'lets a command clean up after %s and exits with %i, even when the command returns 0',
    async (name, code) => {
      const { child, ended, printed } = program(CHILD, 'wait')
      await printed
      child.kill(name)
      expect(await ended).toEqual({ code, signal: null, out: 'waiting\ncleaned up\n', err: '' })
    },
  )

  it('ends at the second Ctrl-C although the command ignores the first', async () => {
    const { child, ended, printed } = program(CHILD, 'ignore')
    await printed
    child.kill('SIGINT')
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(child.exitCode).toBeNull()
    const startedMs = performance.now()
    child.kill('SIGINT')
    expect(await ended).toMatchObject({ code: 130 })
    expect(performance.now() - startedMs).toBeLessThan(2000)
  })

  it('ends by itself, 3 s after the first Ctrl-C, when the command ignores it', async () => {
    const { child, ended, printed } = program(CHILD, 'ignore')
    await printed
    const startedMs = performance.now()
    child.kill('SIGINT')
    expect(await ended).toMatchObject({ code: 130 })
    expect(performance.now() - startedMs).toBeGreaterThan(2500)
    expect(performance.now() - startedMs).toBeLessThan(8000)
  })

  it('gives the cursor back when it dies while drawing on a terminal', async (context) => {
    // `script` of util-linux gives the child a terminal.
    const command = `"${process.execPath}" --import tsx "${CHILD}" draw`
    const { ended } = start('script', ['-qec', command, '/dev/null'])
    const { code, out } = await Promise.race([
      ended,
      new Promise<never>((_, reject) => setTimeout(reject, 15_000, new Error('timeout'))),
    ]).catch((error: Error) => context.skip(`no terminal to be had: ${error.message}`))
    expect(code).toBe(1)
    expect(out.indexOf('\x1b[?25l')).toBeGreaterThanOrEqual(0)
    expect(out.lastIndexOf('\x1b[?25h')).toBeGreaterThan(out.indexOf('\x1b[?25l'))
  })
})
