// Options of a command: declared once with types, parsed by node:util's parseArgs, and printed as help from the same table.

import { parseArgs } from 'node:util'
import { didYouMean } from '../did-you-mean.js'
import { SeamError } from '../errors.js'
import type { CommandIo } from './command.js'
import { formatBytes, formatNs, paint, table, wrapped } from './text.js'
import { type Amount, parseBytes, parseDuration } from './units.js'

interface Described {
  /** One sentence without a full stop. */
  readonly help: string
  /** One letter for `-x`. `h` is taken by help. */
  readonly short?: string
}

/** Present or absent. */
interface FlagSpec extends Described {
  readonly kind: 'flag'
}

interface TextSpec extends Described {
  readonly kind: 'text'
  /** Word for the value in the help text. */
  readonly value?: string
  readonly default?: string
  /** The only values allowed. */
  readonly choices?: readonly string[]
}

/** May be given several times; the values in the order given. */
interface ListSpec extends Described {
  readonly kind: 'list'
  readonly value?: string
}

/** `bytes` gives bytes, `duration` gives milliseconds (see units.ts); `integer` and `number` are plain. Limits are in those units. */
interface NumberSpec extends Described {
  readonly kind: 'integer' | 'number' | 'bytes' | 'duration'
  readonly value?: string
  readonly default?: number
  readonly min?: number
  readonly max?: number
}

type OptionSpec = FlagSpec | TextSpec | ListSpec | NumberSpec

/** By long name, as typed after `--`. */
export type OptionSpecs = Readonly<Record<string, OptionSpec>>

interface PositionalSpec {
  readonly name: string
  readonly help: string
  readonly required?: boolean
  /** Takes all that is left; only for the last. */
  readonly rest?: boolean
}

export interface CommandSyntax<S extends OptionSpecs = OptionSpecs> {
  /** As typed after `kvseam`. */
  readonly name: string
  /** What the command does, in one or two sentences. */
  readonly summary: string
  readonly options: S
  readonly positionals?: readonly PositionalSpec[]
  /** Whole command lines worth copying. */
  readonly examples?: readonly string[]
}

type ValueOf<Spec> = Spec extends { kind: 'flag' }
  ? boolean
  : Spec extends { kind: 'list' }
    ? readonly string[]
    : Spec extends { choices: readonly (infer Choice)[] }
      ? Choice
      : Spec extends { kind: 'text' }
        ? string
        : number

/** A flag is true or false, a list may be empty; another option is its value, or undefined when it has no default and was not given. */
type OptionValues<S extends OptionSpecs> = {
  readonly [Name in keyof S]: S[Name] extends { kind: 'flag' | 'list' } | { default: string | number }
    ? ValueOf<S[Name]>
    : ValueOf<S[Name]> | undefined
}

export interface ParsedOptions<S extends OptionSpecs> {
  /** `--help` or `-h` was given: print `helpLines` and return; the rest was not checked. */
  readonly help: boolean
  readonly values: OptionValues<S>
  readonly positionals: readonly string[]
}

/**
 * Reads a command's arguments. `--name value`, `--name=value`, `-n value`; an option given twice has the last value unless it is a list; `--` ends
 * the options.
 * @throws SeamError KVSEAM_USAGE for an unknown option (with the nearest known one), a missing or bad value, a value out of
 * range, or a positional too many or too few
 */
export function parseOptions<const S extends OptionSpecs>(
  syntax: CommandSyntax<S>,
  argv: readonly string[],
): ParsedOptions<S> {
  const { tokens } = parseArgs({
    args: [...argv],
    options: { help: { type: 'boolean', short: 'h' }, ...parseArgsOptions(syntax.options) },
    strict: false,
    tokens: true,
  })
  const help = tokens.some((token) => token.kind === 'option' && token.name === 'help')
  const values: Record<string, unknown> = {}
  for (const [name, spec] of Object.entries(syntax.options)) {
    values[name] = spec.kind === 'flag' ? false : spec.kind === 'list' ? [] : spec.default
  }
  const positionals: string[] = []
  if (!help) {
    for (const token of tokens) {
      if (token.kind === 'positional') positionals.push(token.value)
      if (token.kind !== 'option') continue
      const spec = Object.hasOwn(syntax.options, token.name) ? syntax.options[token.name] : undefined
      const typed = argv[token.index] ?? token.rawName
      // `-seed 5` would be read as `-s eed`: a whole name behind one dash is taken for the mistake it is.
      const oneDash = !token.rawName.startsWith('--') && Object.hasOwn(syntax.options, typed.slice(1))
      if (spec === undefined || (oneDash && typed.length > 2)) throw unknownOption(syntax, token.rawName, typed)
      const value = optionValue(syntax, spec, token)
      values[token.name] = spec.kind === 'list' ? [...(values[token.name] as readonly string[]), value] : value
    }
    checkPositionals(syntax, positionals)
  }
  return { help, values: values as OptionValues<S>, positionals }
}

function parseArgsOptions(specs: OptionSpecs) {
  return Object.fromEntries(
    Object.entries(specs).map(([name, spec]) => [
      name,
      {
        type: spec.kind === 'flag' ? 'boolean' : 'string',
        ...(spec.short === undefined ? {} : { short: spec.short }),
      } as const,
    ]),
  )
}

interface OptionToken {
  readonly name: string
  readonly rawName: string
  readonly value?: string | undefined
  readonly inlineValue?: boolean | undefined
}

function optionValue(syntax: CommandSyntax, spec: OptionSpec, token: OptionToken): boolean | string | number {
  const { rawName, value } = token
  const fail = (problem: string) =>
    usage(
      syntax,
      { option: rawName, value },
      `${rawName}${value === undefined ? '' : ` ${JSON.stringify(value)}`} ${problem}`,
    )
  if (spec.kind === 'flag') {
    if (value !== undefined) throw fail('takes no value')
    return true
  }
  if (value === undefined || value === '') throw fail('needs a value')
  // `--seed --json` most likely forgot the seed; a negative number is meant.
  if (token.inlineValue !== true && /^-[^\d.]/.test(value)) {
    throw fail(`looks like an option where a value is needed; if it is meant, write --${token.name}=${value}`)
  }
  if (spec.kind === 'list') return value
  if (spec.kind === 'text') {
    if (spec.choices !== undefined && !spec.choices.includes(value)) {
      throw fail(`is none of ${spec.choices.join(', ')}${didYouMean(value, spec.choices)}`)
    }
    return value
  }
  const amount = numberOf(spec.kind, value)
  if ('problem' in amount) throw fail(amount.problem)
  const { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY } = spec
  if (amount.value < min || amount.value > max) throw fail(`is out of range; allowed: ${rangeText(spec)}`)
  return amount.value
}

function numberOf(kind: NumberSpec['kind'], text: string): Amount {
  switch (kind) {
    case 'bytes':
      return parseBytes(text)
    case 'duration':
      return parseDuration(text)
    case 'integer':
      return /^[+-]?\d+$/.test(text) && Number.isSafeInteger(Number(text))
        ? { value: Number(text) }
        : { problem: 'is no integer' }
    case 'number':
      return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) && Number.isFinite(Number(text))
        ? { value: Number(text) }
        : { problem: 'is no number' }
  }
}

function checkPositionals(syntax: CommandSyntax, given: readonly string[]): void {
  const specs = syntax.positionals ?? []
  const extra = given[specs.length]
  if (extra !== undefined && specs.at(-1)?.rest !== true) {
    throw usage(syntax, { argument: extra }, `unexpected argument ${JSON.stringify(extra)}`)
  }
  const missing = specs.find((spec, i) => spec.required === true && given[i] === undefined)
  if (missing !== undefined)
    throw usage(syntax, { argument: missing.name }, `<${missing.name}> is missing: ${missing.help}`)
}

function unknownOption(syntax: CommandSyntax, rawName: string, typed: string): SeamError {
  const names = [...Object.keys(syntax.options), 'help']
  // `-blok 5` reaches here as the unknown short option -b; what was meant is the word.
  const oneDash = !rawName.startsWith('--') && typed.length > 2
  const name = oneDash ? typed : rawName
  const hint = didYouMean(name.replace(/^-+/, '').split('=')[0]!, names).replace('did you mean ', 'did you mean --')
  return usage(syntax, { option: name, known: names }, `unknown option ${name}${hint}`)
}

function usage(syntax: CommandSyntax, facts: Record<string, unknown>, problem: string): SeamError {
  return new SeamError(
    'KVSEAM_USAGE',
    { command: syntax.name, ...facts },
    `${syntax.name}: ${problem}; run "kvseam help ${syntax.name}"`,
  )
}

/** The help text of a command, line by line, no wider than the output. */
export function helpLines(syntax: CommandSyntax, io: Pick<CommandIo, 'columns' | 'isTty' | 'env'>): string[] {
  const { bold } = paint(io)
  const positionals = syntax.positionals ?? []
  const words = positionals.map((spec) => {
    const name = `<${spec.name}>${spec.rest === true ? '…' : ''}`
    return spec.required === true ? name : `[${name}]`
  })
  const rows = [
    ...positionals.map((spec) => [`<${spec.name}>`, spec.help] as const),
    ...Object.entries(syntax.options).map(([name, spec]) => [optionText(name, spec), optionHelp(spec)] as const),
    ['-h, --help', 'print this'] as const,
  ]
  const widest = Math.max(...rows.map(([left]) => left.length))
  const columns = Math.max(widest + 24, io.columns)
  return [
    [bold('usage:'), 'kvseam', syntax.name, ...words, '[options]'].join(' '),
    '',
    ...wrapped(syntax.summary, io.columns),
    '',
    bold('options:'),
    ...table(
      rows.flatMap(([left, right]) =>
        wrapped(right, columns - widest - 4).map((line, i) => [`  ${i === 0 ? left : ''}`, line]),
      ),
    ),
    ...(syntax.examples === undefined ? [] : ['', bold('examples:'), ...syntax.examples.map((line) => `  ${line}`)]),
  ]
}

function optionText(name: string, spec: OptionSpec): string {
  const short = spec.short === undefined ? '    ' : `-${spec.short}, `
  if (spec.kind === 'flag') return `${short}--${name}`
  const word =
    spec.value ?? { text: 'text', list: 'text', integer: 'n', number: 'x', bytes: 'size', duration: 'time' }[spec.kind]
  return `${short}--${name} <${word}>`
}

function optionHelp(spec: OptionSpec): string {
  if (spec.kind === 'flag') return spec.help
  if (spec.kind === 'list') return `${spec.help} (may be repeated)`
  const notes: string[] = []
  if (spec.kind === 'text' && spec.choices !== undefined) notes.push(`one of ${spec.choices.join(', ')}`)
  if (spec.kind !== 'text' && (spec.min !== undefined || spec.max !== undefined)) notes.push(rangeText(spec))
  if (spec.default !== undefined) {
    notes.push(`default ${typeof spec.default === 'number' ? amountText(spec, spec.default) : spec.default}`)
  }
  return notes.length === 0 ? spec.help : `${spec.help} (${notes.join('; ')})`
}

function rangeText(spec: NumberSpec): string {
  const { min, max } = spec
  if (min === undefined) return `at most ${amountText(spec, max!)}`
  return max === undefined
    ? `at least ${amountText(spec, min)}`
    : `${amountText(spec, min)} to ${amountText(spec, max)}`
}

function amountText(spec: OptionSpec, value: number): string {
  if (spec.kind === 'bytes') return formatBytes(value)
  return spec.kind === 'duration' ? formatNs(value * 1e6) : String(value)
}
