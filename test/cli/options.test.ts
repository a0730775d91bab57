// Options must arrive with the right type, and every mistake must be answered by what to type instead.

import { describe, expect, expectTypeOf, it } from 'vitest'
import { type CommandSyntax, helpLines, parseOptions } from '../../src/cli/options.js'
import { SeamError } from '../../src/errors.js'
import { fakeIo } from './fake-io.js'

const SYNTAX = {
  name: 'replay',
  summary: 'Replays a trace.',
  options: {
    json: { kind: 'flag', help: 'print JSON', short: 'j' },
    seed: { kind: 'integer', help: 'seed of all draws', short: 's', default: 1 },
    speed: { kind: 'number', help: 'times real time', min: 0.1, max: 100 },
    profile: { kind: 'text', help: 'policy profile', choices: ['reference', 'default', 'isolate'], default: 'default' },
    block: { kind: 'bytes', help: 'bytes in a block', default: 65536, min: 1024 },
    deadline: { kind: 'duration', help: 'time a transfer may take', default: 250, max: 60_000 },
    out: { kind: 'text', help: 'file to write', value: 'file' },
  },
  positionals: [{ name: 'trace', help: 'trace file', required: true }],
  examples: ['kvseam replay trace.jsonl --speed 10'],
} as const satisfies CommandSyntax

function usageError(argv: string[]): SeamError {
  try {
    parseOptions(SYNTAX, argv)
  } catch (error) {
    if (SeamError.is(error, 'KVSEAM_USAGE')) return error
    throw error
  }
  throw new Error(`${argv.join(' ')} was accepted`)
}

describe('parseOptions', () => {
  it('gives defaults, and undefined for what has none', () => {
    const { values, positionals, help } = parseOptions(SYNTAX, ['t.jsonl'])
    expect(values).toEqual({
      json: false,
      seed: 1,
      speed: undefined,
      profile: 'default',
      block: 65536,
      deadline: 250,
      out: undefined,
    })
    expect(positionals).toEqual(['t.jsonl'])
    expect(help).toBe(false)
    expectTypeOf(values.json).toEqualTypeOf<boolean>()
    expectTypeOf(values.seed).toEqualTypeOf<number>()
    expectTypeOf(values.speed).toEqualTypeOf<number | undefined>()
    expectTypeOf(values.profile).toEqualTypeOf<'reference' | 'default' | 'isolate'>()
    expectTypeOf(values.out).toEqualTypeOf<string | undefined>()
  })

  it('reads every way of writing an option, in any order, the last one winning', () => {
    const argv = [
      '-j',
      '--seed=-5',
      't',
      '--block',
      '1MiB',
      '--deadline=1.5s',
      '-s',
      '9',
      '--speed',
      '.5',
      '--profile',
      'isolate',
    ]
    expect(parseOptions(SYNTAX, argv).values).toMatchObject({
      json: true,
      seed: 9,
      block: 1048576,
      deadline: 1500,
      speed: 0.5,
      profile: 'isolate',
    })
    expect(parseOptions(SYNTAX, ['t', '--seed', '-7']).values.seed).toBe(-7)
    expect(parseOptions(SYNTAX, ['t', '--out=--json']).values).toMatchObject({ out: '--json', json: false })
    expect(parseOptions(SYNTAX, ['--', '--seed']).positionals).toEqual(['--seed'])
  })

  it.each([
    [['t', '--sede', '3'], /unknown option --sede \(did you mean --seed\?\)/],
    [['t', '-seed', '3'], /unknown option -seed \(did you mean --seed\?\)/],
    [['t', '-sed', '3'], /-s "ed" is no integer/],
    [['t', '-spede'], /-s "pede" is no integer/],
    [['t', '-blok', '3'], /unknown option -blok \(did you mean --block\?\)/],
    [['t', '-x'], /unknown option -x;/],
    [['t', '--__proto__=1'], /unknown option --__proto__;/],
    [['t', '--constructor'], /unknown option --constructor;/],
    [['t', '--seed'], /--seed needs a value/],
    [['t', '--seed='], /--seed .*needs a value/],
    [['t', '--seed', '--json'], /looks like an option .*--seed=--json/],
    [['t', '--seed', '1.5'], /"1.5" is no integer/],
    [['t', '--seed', '9007199254740993'], /is no integer/],
    [['t', '--speed', '0x10'], /is no number/],
    [['t', '--speed', '1000'], /out of range; allowed: 0.1 to 100/],
    [['t', '--speed', 'NaN'], /is no number/],
    [['t', '--block', '64K'], /write 64KiB/],
    [['t', '--block', '5B'], /allowed: at least 1 KiB/],
    [['t', '--deadline', '250'], /write 250ms or 250s/],
    [['t', '--deadline', '2m'], /at most 60 s/],
    [['t', '--profile', 'isolat'], /none of reference, default, isolate \(did you mean isolate\?\)/],
    [['t', '--json=yes'], /--json "yes" takes no value/],
    [['t', 'u'], /unexpected argument "u"/],
    [[], /<trace> is missing: trace file/],
  ])('answers %j', (argv, message) => {
    const error = usageError(argv)
    expect(error.message).toMatch(message)
    expect(error.message).toMatch(/^replay: .*run "kvseam help replay"$/)
    expect(error.facts).toMatchObject({ command: 'replay' })
  })

  it('lets help through whatever else is wrong', () => {
    expect(parseOptions(SYNTAX, ['--help', '--bogus']).help).toBe(true)
    expect(parseOptions(SYNTAX, ['-h']).help).toBe(true)
  })

  it('lets the last positional take the rest when it says so', () => {
    const syntax = { name: 'x', summary: '', options: {}, positionals: [{ name: 'file', help: '', rest: true }] }
    expect(parseOptions(syntax, ['a', 'b', 'c']).positionals).toEqual(['a', 'b', 'c'])
  })
})

describe('helpLines', () => {
  it('names every option with its value, limits and default, in the width given', () => {
    const lines = helpLines(SYNTAX, fakeIo({ columns: 60 }))
    const text = lines.join('\n')
    expect(lines[0]).toBe('usage: kvseam replay <trace> [options]')
    expect(text).toContain('-s, --seed <n>')
    expect(text.replace(/\s+/g, ' ')).toContain('one of reference, default, isolate; default default')
    expect(text.replace(/\s+/g, ' ')).toContain('(at least 1 KiB; default 64 KiB)')
    expect(text.replace(/\s+/g, ' ')).toContain('(at most 60 s; default 250 ms)')
    expect(text).toContain('    --out <file>')
    expect(text).toContain('kvseam replay trace.jsonl --speed 10')
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(60)
  })
})
