// The frame must find the command, load no other, and turn every error into lines and the right exit code.

import { describe, expect, it } from 'vitest'
import type { CommandEntry } from '../../src/cli/command.js'
import { EXIT } from '../../src/cli/exit-code.js'
import { run } from '../../src/cli/run.js'
import { SeamError, type SeamErrorCode } from '../../src/errors.js'
import { fakeIo } from './fake-io.js'

/** Two commands; `echo` prints its arguments and returns 3, `broken` throws what it is given. */
function commands(thrown?: unknown): { table: CommandEntry[]; loaded: string[] } {
  const loaded: string[] = []
  const table: CommandEntry[] = [
    {
      name: 'echo',
      summary: 'print the arguments',
      load: async () => {
        loaded.push('echo')
        return async (argv, io) => {
          io.stdout(argv.join(' '))
          return EXIT.gateFailed
        }
      },
    },
    {
      name: 'broken',
      summary: 'throw',
      load: async () => {
        loaded.push('broken')
        return () => {
          throw thrown
        }
      },
    },
  ]
  return { table, loaded }
}

describe('run', () => {
  it('gives a command its arguments and returns its exit code, and loads no other command', async () => {
    const { table, loaded } = commands()
    const io = fakeIo()
    expect(await run(['echo', '--seed', '1'], table, io)).toBe(3)
    expect(io.out).toEqual(['--seed 1'])
    expect(loaded).toEqual(['echo'])
  })

  it.each([['help'], ['--help'], ['-h']])('%s lists every command on stdout and loads none', async (word) => {
    const { table, loaded } = commands()
    const io = fakeIo({ columns: 60 })
    expect(await run([word], table, io)).toBe(0)
    expect(io.out.join('\n')).toMatch(/echo\s+print the arguments\n\s+broken\s+throw\n\s+help/)
    for (const line of io.out) expect(line.length).toBeLessThanOrEqual(60)
    expect(loaded).toEqual([])
  })

  it('help of a command asks that command', async () => {
    const io = fakeIo()
    expect(await run(['help', 'echo'], commands().table, io)).toBe(3)
    expect(io.out).toEqual(['--help'])
  })

  it('without a command the list goes to stderr and the exit code is 2', async () => {
    const io = fakeIo()
    expect(await run([], commands().table, io)).toBe(2)
    expect(io.out).toEqual([])
    expect(io.err.join('\n')).toContain('echo')
  })

  it.each([
    [['ehco'], /^error: KVSEAM_USAGE: unknown command "ehco" \(did you mean echo\?\)/],
    [['help', 'borken'], /unknown command "borken" \(did you mean broken\?\)/],
    [['--sede'], /unknown option --sede before a command/],
    [['\x1b[2Jx'], /unknown command "\\u001b\[2Jx"/],
    [['constructor'], /unknown command/],
  ])('%j exits with 2 and a hint', async (argv, message) => {
    const io = fakeIo()
    expect(await run(argv, commands().table, io)).toBe(2)
    expect(io.err[0]).toMatch(message)
    expect(io.out).toEqual([])
  })

  it.each([
    ['KVSEAM_USAGE', 2],
    ['KVSEAM_TRACE_INVALID', 1],
    ['KVSEAM_ADDON_MISSING', 4],
    ['KVSEAM_ADDON_MISMATCH', 4],
    ['KVSEAM_BACKEND_UNAVAILABLE', 4],
  ] satisfies [SeamErrorCode, number][])('%s ends with exit code %i', async (code, expected) => {
    const io = fakeIo()
    expect(await run(['broken'], commands(new SeamError(code, {}, 'text')).table, io)).toBe(expected)
    expect(io.err).toEqual([`error: ${code}: text`])
  })

  it('shows facts, cause and stack only under KVSEAM_DEBUG', async () => {
    const error = new SeamError('KVSEAM_TRACE_INVALID', { line: 17 }, 'bad row\nsecond line', {
      cause: new Error('deeper'),
    })
    const quiet = fakeIo({ env: { KVSEAM_DEBUG: '0' } })
    await run(['broken'], commands(error).table, quiet)
    expect(quiet.err).toEqual(['error: KVSEAM_TRACE_INVALID: bad row', '  second line'])
    const loud = fakeIo({ env: { KVSEAM_DEBUG: '1' } })
    await run(['broken'], commands(error).table, loud)
    expect(loud.err.join('\n')).toMatch(/facts: \{ line: 17 \}[\s\S]*cause: Error: deeper[\s\S]*run\.test/)
  })

  it('keeps control characters of an error text away from the terminal', async () => {
    const io = fakeIo()
    await run(['broken'], commands(new Error('peer \x1b]0;x\x07')).table, io)
    expect(io.err[0]).toBe('error: peer \\x1b]0;x\\x07')
  })

  it('survives a command that throws something that is no error', async () => {
    for (const thrown of ['text', null, undefined, { code: 'KVSEAM_USAGE' }]) {
      expect(await run(['broken'], commands(thrown).table, fakeIo())).toBe(1)
    }
  })
})
