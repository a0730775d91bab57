// The peers form of the bench command: kvseam beside native code on the same blocks, in alternating rounds.

import { parseCounts, parseSizes, rawCells } from '../bench/axes.js'
import { CONTESTANTS, type ContestantName, usualContestants } from '../bench/contestants.js'
import { type PeersReport, runPeers } from '../bench/peers.js'
import { SeamError } from '../errors.js'
import type { CommandIo } from './command.js'
import { EXIT } from './exit-code.js'
import { type CommandSyntax, helpLines, parseOptions } from './options.js'
import { formatRate, table } from './text.js'

const SYNTAX = {
  name: 'bench peers',
  summary:
    'Measures kvseam beside native code that moves the same blocks, in rounds that alternate, and prints medians and ratios. UCX_* variables reach both.',
  options: {
    backend: { kind: 'text', default: 'mock', value: 'NAME', help: 'transport that moves our bytes' },
    with: {
      kind: 'text',
      value: 'NAMES',
      help: `peers: ${Object.keys(CONTESTANTS).join(', ')}; those of the same transport, tcp and memcpy unless given`,
    },
    op: { kind: 'text', default: 'read', choices: ['read', 'write'], help: 'how ours moves them' },
    block: { kind: 'text', default: '32KiB', value: 'SIZES', help: 'block sizes: a list, or FROM..TO by doubling' },
    batch: {
      kind: 'text',
      default: '64,4096',
      value: 'COUNTS',
      help: 'blocks of a handoff: a list, or FROM..TO by doubling',
    },
    rounds: { kind: 'integer', default: 5, min: 1, max: 1000, help: 'of each cell' },
    duration: {
      kind: 'duration',
      default: 1500,
      min: 10,
      max: 3_600_000,
      help: 'of a cell for each contestant, all rounds together',
    },
    memory: { kind: 'bytes', default: 256 * 2 ** 20, min: 4096, max: 2 ** 40, help: 'registered on each of our sides' },
    peer: { kind: 'text', default: 'process', choices: ['process', 'in-process'], help: 'where our far end lives' },
    seed: { kind: 'integer', default: 7, min: 0, max: 2 ** 32 - 1, help: 'of the block orders' },
    json: { kind: 'flag', help: 'print the report as one JSON object, progress on standard error' },
  },
  examples: ['kvseam bench peers', 'UCX_TLS=tcp,self kvseam bench peers --backend ucx --batch 64,4096'],
} as const satisfies CommandSyntax

export async function benchPeersCommand(argv: string[], io: CommandIo): Promise<number> {
  const parsed = parseOptions(SYNTAX, argv)
  if (parsed.help) {
    for (const line of helpLines(SYNTAX, io)) io.stdout(line)
    return EXIT.ok
  }
  const options = parsed.values
  const say = options.json ? io.stderr : io.stdout
  const signal = io.signal ?? new AbortController().signal
  const report = await runPeers(
    rawCells(parseSizes('block', options.block), parseCounts('batch', options.batch)),
    options.op,
    options.with === undefined ? usualContestants(options.backend) : namesOf(options.with),
    {
      backend: options.backend,
      profile: 'default',
      rails: 1,
      devices: [],
      railBytesPerSecond: 0,
      railLatencyUs: 0,
      peer: options.peer,
      window: 1,
      ratePerSecond: 0,
      durationMs: options.duration,
      rounds: options.rounds,
      warmupMs: 50,
      deadlineMs: 30_000,
      poolBytes: options.memory,
      verify: 'ends',
      faults: null,
      seed: options.seed,
    },
    signal,
    io.stderr,
  )
  for (const line of reportLines(report)) say(line)
  if (options.json) io.stdout(JSON.stringify(report))
  return signal.aborted ? EXIT.interrupted : EXIT.ok
}

function namesOf(text: string): ContestantName[] {
  return text.split(',').map((name) => {
    if (Object.hasOwn(CONTESTANTS, name)) return name as ContestantName
    throw new SeamError(
      'KVSEAM_USAGE',
      { command: 'bench peers', name },
      `bench peers: --with ${JSON.stringify(name)} is none of ${Object.keys(CONTESTANTS).join(', ')}`,
    )
  })
}

function reportLines(report: PeersReport): string[] {
  const { environment: machine } = report
  return [
    ...table(
      [
        ['cell', 'who', 'rate', 'rounds', 'kvseam over it', ''],
        ...report.rows.map((row) => [
          row.cell,
          row.name,
          formatRate(row.bytesPerSecond),
          `${formatRate(row.low)} .. ${formatRate(row.high)}`,
          row.ratio === null ? '' : row.ratio.toFixed(2),
          row.about,
        ]),
      ],
      { align: ['left', 'left', 'right', 'left', 'right'] },
    ),
    ...report.absent.map(({ reason }) => `not there: ${reason}`),
    `label ${report.label} (${report.provider} ${report.providerVersion}); ${machine.cpu}, ${machine.cpus} CPUs, Linux ${machine.kernel}, Node ${machine.node}, load ${machine.load1m.toFixed(2)}`,
  ]
}
