// The bench command: what moving KV blocks costs on a transport, by block size, batch, path and gate.

import { writeFileSync } from 'node:fs'
import { type Cell, modelCell, parseCounts, parseSizes, rawCells } from '../bench/axes.js'
import { compare, METRICS, type Metric, readBase } from '../bench/compare.js'
import { csvLines } from '../bench/csv.js'
import { htmlReport } from '../bench/html.js'
import {
  type Arrangement,
  type BenchReport,
  type CellFigures,
  type Gate,
  mismatches,
  type Operation,
} from '../bench/report.js'
import { runSweep, type Step, type Sweep } from '../bench/run.js'
import { comparisonLines, headLines, splitLines, stepText, tableLines, tailLines } from '../bench/text.js'
import { SeamError } from '../errors.js'
import { KV_MODELS } from '../kv/model.js'
import { PROFILES } from '../policy/create.js'
import type { CommandIo } from './command.js'
import { EXIT } from './exit-code.js'
import { LiveTable } from './live-table.js'
import { type CommandSyntax, helpLines, parseOptions } from './options.js'
import { paint } from './text.js'

const SYNTAX = {
  name: 'bench',
  summary:
    'Measures transfers of KV blocks between this process and a far end: rate, latency by percentile, its parts, CPU and event-loop delay, path by path, and verifies the bytes.',
  options: {
    backend: { kind: 'text', default: 'mock', value: 'NAME', help: 'transport that moves the bytes' },
    op: {
      kind: 'text',
      default: 'read',
      choices: ['read', 'write', 'both'],
      help: 'pull from the far end, push to it, or both',
    },
    block: {
      kind: 'text',
      default: '4KiB,64KiB,1MiB',
      value: 'SIZES',
      help: 'block sizes: a list, or FROM..TO by doubling',
    },
    batch: {
      kind: 'text',
      default: '1,16',
      value: 'COUNTS',
      help: 'blocks of a transfer: a list, or FROM..TO by doubling',
    },
    model: {
      kind: 'text',
      value: 'NAME',
      help: `KV shape of one prompt instead of block and batch: ${Object.keys(KV_MODELS).join(', ')}`,
    },
    tokens: { kind: 'integer', default: 8192, min: 1, max: 10_000_000, help: 'of the prompt, with --model' },
    tp: {
      kind: 'integer',
      default: 1,
      min: 1,
      max: 1024,
      help: 'tensor-parallel ranks, with --model; one of them is measured',
    },
    window: { kind: 'integer', default: 16, min: 1, max: 4096, help: 'transfers in flight on a path' },
    rate: {
      kind: 'number',
      default: 0,
      min: 0,
      max: 10_000_000,
      help: 'transfers a second on a path, with latency from when each was due; 0 is as fast as it goes',
    },
    paths: { kind: 'integer', min: 1, max: 64, help: 'paths, a rail each; one, or one a device' },
    device: {
      kind: 'text',
      value: 'NAMES',
      help: 'what a real backend opens for the rails, in turn: tcp/eth0,tcp/eth1 or shm; its own choice unless given',
    },
    load: {
      kind: 'text',
      default: 'both',
      choices: ['isolated', 'contended', 'both'],
      help: 'with several paths: one after the other, all at once, or both',
    },
    gate: {
      kind: 'text',
      default: 'off',
      choices: ['on', 'off', 'both'],
      help: 'ask the policy for every transfer, or mint permits without asking',
    },
    profile: { kind: 'text', default: 'default', choices: PROFILES, help: 'policy that is asked where the gate is on' },
    faults: { kind: 'text', value: 'SPEC', help: 'faults to inject, in the grammar of KVSEAM_FAULTS' },
    peer: { kind: 'text', default: 'process', choices: ['process', 'in-process'], help: 'where the far end lives' },
    'rail-rate': {
      kind: 'bytes',
      default: 0,
      min: 0,
      help: 'mock: modelled rate of a rail, bytes a second; 0 is as fast as memory',
    },
    'rail-latency': {
      kind: 'duration',
      default: 0,
      min: 0,
      max: 60_000,
      help: 'mock: modelled one-way latency of a rail',
    },
    memory: {
      kind: 'bytes',
      default: 256 * 2 ** 20,
      min: 4096,
      max: 2 ** 40,
      help: 'registered on each side; at least one transfer a path',
    },
    duration: { kind: 'duration', default: 1000, min: 10, max: 86_400_000, help: 'of each cell and gate' },
    rounds: {
      kind: 'integer',
      default: 5,
      min: 1,
      max: 1000,
      help: 'slices of the duration; the rate is their median, and gate on and off alternate',
    },
    warmup: { kind: 'duration', default: 200, min: 0, max: 3_600_000, help: 'before each cell, not counted' },
    deadline: { kind: 'duration', default: 10_000, min: 1, max: 3_600_000, help: 'of a transfer' },
    verify: {
      kind: 'text',
      default: 'ends',
      choices: ['ends', 'each', 'off'],
      help: 'compare digests of all destinations at the end, of each transfer (slower), or not',
    },
    seed: { kind: 'integer', default: 7, min: 0, max: 2 ** 32 - 1, help: 'of block orders, bytes and faults' },
    json: { kind: 'flag', help: 'print the report as one JSON object, progress on standard error' },
    csv: { kind: 'flag', help: 'print the report as CSV, progress on standard error' },
    html: { kind: 'text', value: 'FILE', help: 'write the report with plots as one self-contained file' },
    compare: {
      kind: 'text',
      value: 'BASE.json',
      help: 'compare with the output of an earlier --json; exit code 3 when it is worse',
    },
    'max-regress': { kind: 'text', default: '5%', value: 'SHARE', help: 'by how much a figure may be worse' },
    'compare-on': {
      kind: 'text',
      default: 'rate,p50',
      value: 'NAMES',
      help: `figures that are compared: ${Object.keys(METRICS).join(', ')}`,
    },
  },
  examples: [
    'kvseam bench',
    'kvseam bench --block 4KiB..4MiB --batch 1..64 --op both --html bench.html',
    'kvseam bench --model llama-3.1-70b --tokens 8192 --tp 8 --memory 1GiB --gate both',
    'kvseam bench --json > base.json && kvseam bench --compare base.json --max-regress 5%',
    'kvseam bench --backend ucx --device tcp/lo,shm --gate both',
    'kvseam bench peers --help',
    "kvseam bench --paths 2 --verify each --faults 'rail1.read=5%delay(2ms)'",
  ],
} as const satisfies CommandSyntax

const REDRAW_EVERY_MS = 200

export async function benchCommand(argv: string[], io: CommandIo): Promise<number> {
  if (argv[0] === 'peers') return (await import('./bench-peers.js')).benchPeersCommand(argv.slice(1), io)
  const parsed = parseOptions(SYNTAX, argv)
  if (parsed.help) {
    for (const line of helpLines(SYNTAX, io)) io.stdout(line)
    return EXIT.ok
  }
  const options = parsed.values
  if (options.json && options.csv) throw usage('--json and --csv both want standard output; give one of them')
  // Read before anything is measured: a wrong file is no news after ten minutes.
  const base = options.compare === undefined ? undefined : readBase(options.compare)
  const maxRegress = share(options['max-regress'])
  const metrics = metricsOf(options['compare-on'])
  const sweep = sweepOf(options)
  const aside = options.json || options.csv
  const colours = paint(io)

  const report = await watched(sweep, aside, io)
  const say = aside ? io.stderr : io.stdout
  for (const line of ['', ...splitLines(report.cells), '', ...tailLines(report)]) say(line)
  if (options.html !== undefined) {
    writeFileSync(options.html, htmlReport(report))
    say(`plots: ${options.html}`)
  }
  if (options.json) io.stdout(JSON.stringify(report))
  if (options.csv) for (const line of csvLines(report)) io.stdout(line)
  if (report.interrupted) return EXIT.interrupted

  const wrong = mismatches(report)
  if (wrong > 0) say(colours.red(`${wrong} digests do not match: bytes arrived wrong`))
  let worse = false
  if (base !== undefined) {
    const comparison = compare(base, report, metrics, maxRegress)
    for (const line of ['', ...comparisonLines(comparison, colours)]) say(line)
    worse = comparison.changes.some(({ tooMuch }) => tooMuch)
    if (worse) say(`worse than ${options.compare} by more than ${options['max-regress']}`)
  }
  if (wrong > 0) return EXIT.failure
  return worse ? EXIT.gateFailed : EXIT.ok
}

/** Runs it with a table that grows: redrawn on a terminal, else a line a cell. */
async function watched(sweep: Sweep, aside: boolean, io: CommandIo): Promise<BenchReport> {
  using live = new LiveTable({ screen: aside ? undefined : io.screen })
  const say = aside ? io.stderr : io.stdout
  const colours = paint(io)
  const done: CellFigures[] = []
  let now: Step | undefined
  const draw = (): void => {
    live.draw(
      [...tableLines(done, colours), ...(now === undefined ? [] : [colours.dim(stepText(now))])],
      performance.now(),
    )
  }
  for (const line of headLines(sweep)) (live.isLive ? (text: string) => live.print(text) : say)(line)
  const ticker = setInterval(draw, REDRAW_EVERY_MS)
  try {
    return await runSweep(
      sweep,
      io.signal ?? new AbortController().signal,
      (step) => {
        now = step
        if (!live.isLive) say(stepText(step))
      },
      (figures) => void done.push(...figures),
    )
  } finally {
    clearInterval(ticker)
    now = undefined
    if (live.isLive) {
      live.draw(tableLines(done, colours), Number.POSITIVE_INFINITY)
    } else {
      for (const line of ['', ...tableLines(done, colours)]) say(line)
    }
  }
}

type Values = ReturnType<typeof parseOptions<(typeof SYNTAX)['options']>>['values']

function sweepOf(options: Values): Sweep {
  const cells: Cell[] =
    options.model === undefined
      ? rawCells(parseSizes('block', options.block), parseCounts('batch', options.batch))
      : [modelCell({ model: options.model, tokens: options.tokens, tp: options.tp })]
  const operations: readonly Operation[] = options.op === 'both' ? ['read', 'write'] : [options.op]
  const gates: readonly Gate[] = options.gate === 'both' ? ['off', 'on'] : [options.gate]
  const several: readonly Arrangement[] = options.load === 'both' ? ['isolated', 'contended'] : [options.load]
  const devices = devicesOf(options.device)
  const paths = options.paths ?? Math.max(1, devices.length)
  if (paths < devices.length) {
    throw usage(`--paths ${paths} leaves devices of --device ${options.device} unused; raise it or name fewer`)
  }
  return {
    cells,
    operations,
    gates,
    arrangements: paths === 1 ? ['alone'] : several,
    options: {
      backend: options.backend,
      profile: options.profile,
      rails: paths,
      devices,
      railBytesPerSecond: options['rail-rate'],
      railLatencyUs: Math.round(options['rail-latency'] * 1e3),
      peer: options.peer,
      window: options.window,
      ratePerSecond: options.rate,
      durationMs: options.duration,
      rounds: options.rounds,
      warmupMs: options.warmup,
      deadlineMs: options.deadline,
      poolBytes: options.memory,
      verify: options.verify,
      faults: options.faults === undefined ? null : seeded(options.faults, options.seed),
      seed: options.seed,
    },
  }
}

/** Rules without a seed of their own get that of the run, so that a run can be repeated. */
function seeded(faults: string, seed: number): string {
  return /^\s*seed\s*=/.test(faults) ? faults : `seed=${seed};${faults}`
}

function devicesOf(text: string | undefined): string[] {
  if (text === undefined) return []
  const names = text.split(',').map((name) => name.trim())
  if (names.includes('')) throw usage(`--device ${JSON.stringify(text)} has an empty name`)
  return names
}

/** `5%` or `0.05`. */
function share(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*(%?)$/.exec(text.trim())
  if (match === null) throw usage(`--max-regress ${JSON.stringify(text)} is no share; write for example 5% or 0.05`)
  return Number(match[1]) / (match[2] === '%' ? 100 : 1)
}

function metricsOf(text: string): Metric[] {
  return text.split(',').map((name) => {
    if (!Object.hasOwn(METRICS, name)) {
      throw usage(`--compare-on ${JSON.stringify(name)} is none of ${Object.keys(METRICS).join(', ')}`)
    }
    return name as Metric
  })
}

function usage(problem: string): SeamError {
  return new SeamError('KVSEAM_USAGE', { command: 'bench' }, `bench: ${problem}; run "kvseam help bench"`)
}
