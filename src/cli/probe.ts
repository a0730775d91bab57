// The probe command: opens agents in processes on this machine and measures the paths between them.

import { setTimeout as sleep } from 'node:timers/promises'
import { openStage, type Stage } from '../demo/stage.js'
import { didYouMean } from '../did-you-mean.js'
import { SeamError } from '../errors.js'
import { probeChannel } from '../observe/channels.js'
import type { Path } from '../paths.js'
import { PROBE_KINDS, type ProbeKind, USUAL_BYTES } from '../probe/probe-options.js'
import type { ProbeReport } from '../probe/probe-report.js'
import type { CommandIo } from './command.js'
import { EXIT } from './exit-code.js'
import { LiveTable } from './live-table.js'
import { type CommandSyntax, helpLines, parseOptions } from './options.js'
import { answered, type ProbedPath, probeTable } from './probe-table.js'
import { formatBytes, paint } from './text.js'

const SYNTAX = {
  name: 'probe',
  summary:
    'Opens a prefill agent here and decode agents in processes of their own, and measures every path between them: round trip, reads and writes, timed natively. Exit code 3 when a path lost an operation.',
  options: {
    path: { kind: 'text', value: 'ID', help: 'only this path, or those whose id contains the text' },
    kind: {
      kind: 'text',
      choices: ['all', ...PROBE_KINDS],
      default: 'all',
      help: 'what to measure',
    },
    bytes: { kind: 'bytes', min: 1, max: 4 * 2 ** 20, help: 'bytes of one operation; rtt 64, read and write 1 MiB' },
    count: { kind: 'integer', min: 1, max: 10_000, help: 'operations of a series; rtt 100, read and write 20' },
    window: { kind: 'integer', default: 1, min: 1, max: 16, help: 'operations in flight at once' },
    timeout: { kind: 'duration', default: 500, min: 1, max: 60_000, help: 'an operation that takes longer is lost' },
    watch: { kind: 'flag', help: 'measure again and again, and redraw, until Ctrl-C' },
    interval: { kind: 'duration', default: 1000, min: 0, max: 3_600_000, help: 'pause between rounds of --watch' },
    rounds: { kind: 'integer', default: 0, min: 0, max: 1_000_000, help: 'rounds of --watch; 0 goes on for ever' },
    decodes: { kind: 'integer', default: 1, min: 1, max: 16, help: 'decode processes' },
    rails: { kind: 'integer', default: 2, min: 1, max: 16, help: 'rails of each agent' },
    'rail-rate': {
      kind: 'bytes',
      default: 2_000_000_000,
      min: 0,
      help: 'modelled rate of a rail, bytes a second; 0 as fast as memory',
    },
    'rail-latency': { kind: 'duration', default: 0.05, min: 0, max: 1000, help: 'modelled one-way latency of a rail' },
    backend: { kind: 'text', default: 'mock', value: 'NAME', help: 'transport that moves the bytes' },
    device: {
      kind: 'text',
      value: 'NAME',
      help: 'what a real backend opens for each rail, such as tcp/lo (the default with ucx) or shm',
    },
    faults: { kind: 'text', value: 'SPEC', help: 'faults in the grammar of KVSEAM_FAULTS' },
    log: { kind: 'text', value: 'FILE', help: 'append the records (kvseam.probe/1) to this file' },
    json: { kind: 'flag', help: 'print one record a series (kvseam.probe/1) on standard output, nothing else there' },
  },
  examples: [
    'kvseam probe',
    'kvseam probe --watch --path rail0',
    'kvseam probe --kind read --bytes 4MiB --window 4 --json',
    "KVSEAM_FAULTS='rail0.probe=delay(5ms)' kvseam probe",
  ],
} as const satisfies CommandSyntax

/** Of a pool that nobody uses: a probe has memory of its own. */
const POOL = { parts: 1, blockBytes: 4096, poolBlocks: 1 }

export async function probeCommand(argv: string[], io: CommandIo): Promise<number> {
  const parsed = parseOptions(SYNTAX, argv)
  if (parsed.help) {
    for (const line of helpLines(SYNTAX, io)) io.stdout(line)
    return EXIT.ok
  }
  const options = parsed.values
  const kinds = options.kind === 'all' ? PROBE_KINDS : [options.kind]
  if (options.kind === 'rtt' && (options.bytes ?? 0) > 4096) {
    throw new SeamError(
      'KVSEAM_USAGE',
      { option: '--bytes', value: options.bytes },
      'probe: a round trip has at most 4096 bytes; measure larger ones with --kind read or --kind write',
    )
  }
  const signal = io.signal ?? new AbortController().signal
  const say = options.json ? io.stderr : io.stdout
  using live = new LiveTable({ screen: options.json || !options.watch ? undefined : io.screen })
  const stage = await openStage(
    {
      backend: options.backend,
      decodes: options.decodes,
      rails: options.rails,
      railBytesPerSecond: options['rail-rate'],
      railLatencyUs: Math.round(options['rail-latency'] * 1000),
      // Its processes are all on this machine.
      railDevice: options.device ?? (options.backend === 'ucx' ? 'tcp/lo' : undefined),
      pool: POOL,
      seed: 0,
    },
    {
      probes: 'off',
      ...(options.faults === undefined ? {} : { faults: options.faults }),
      ...(options.log === undefined ? {} : { recordLog: options.log }),
    },
  )
  const onRecord = (record: unknown): void => {
    if (options.json) io.stdout(JSON.stringify(record))
  }
  probeChannel.subscribe(onRecord)
  try {
    const paths = chosenPaths(stage, options.path)
    const { label, provider, version } = stage.seam.backend
    const sizes = kinds.map(
      (kind) => `${kind} of ${formatBytes(sizeOf(kind, options.bytes, kinds) ?? USUAL_BYTES[kind])}`,
    )
    say(
      `kvseam probe: backend ${options.backend} (${provider} ${version}), figures are ${label}; ${paths.length} paths, ` +
        `${sizes.join(', ')}, ${options.window} in flight`,
    )
    let allAnswered = true
    for (let round = 1; !signal.aborted; round++) {
      const rows = await measured(paths, kinds, options, signal)
      if (rows === null) break
      allAnswered &&= rows.every(answered)
      const lines = probeTable(rows, kinds, paint(io))
      if (live.isLive) live.draw(lines, Number.POSITIVE_INFINITY)
      else for (const line of lines) say(line)
      if (!options.watch || round === options.rounds) break
      await sleep(options.interval, undefined, { signal }).catch(() => {})
    }
    if (signal.aborted) return EXIT.interrupted
    return allAnswered ? EXIT.ok : EXIT.gateFailed
  } finally {
    probeChannel.unsubscribe(onRecord)
    await stage.close()
  }
}

function chosenPaths({ seam }: Stage, wanted: string | undefined): Path[] {
  const all = [...seam.paths]
  if (wanted === undefined) return all
  const exact = all.filter((path) => path.id === wanted)
  const chosen = exact.length > 0 ? exact : all.filter((path) => path.id.includes(wanted))
  if (chosen.length > 0) return chosen
  const known = all.map((path) => path.id)
  throw new SeamError(
    'KVSEAM_USAGE',
    { option: '--path', value: wanted, known },
    `probe: no path is called ${JSON.stringify(wanted)}${didYouMean(wanted, known)}; the paths are ${known.join(', ')}`,
  )
}

/** With every kind, the size asked for is that of reads and writes; a round trip stays what it is. Undefined: the usual. */
function sizeOf(kind: ProbeKind, bytes: number | undefined, kinds: readonly ProbeKind[]): number | undefined {
  return kind === 'rtt' && kinds.length > 1 ? undefined : bytes
}

/** One series after the other, so that they do not measure each other; null when it was interrupted. */
async function measured(
  paths: readonly Path[],
  kinds: readonly ProbeKind[],
  options: { bytes: number | undefined; count: number | undefined; window: number; timeout: number },
  signal: AbortSignal,
): Promise<ProbedPath[] | null> {
  const rows: ProbedPath[] = []
  for (const path of paths) {
    const reports: Partial<Record<ProbeKind, ProbeReport>> = {}
    for (const kind of kinds) {
      const bytes = sizeOf(kind, options.bytes, kinds)
      try {
        reports[kind] = await path.probe({
          kind,
          ...(bytes === undefined ? {} : { bytes }),
          ...(options.count === undefined ? {} : { count: options.count }),
          window: options.window,
          timeoutMs: options.timeout,
          signal,
        })
      } catch (error) {
        if (signal.aborted) return null
        throw error
      }
    }
    rows.push({ path: path.id, state: path.state, reports })
  }
  return rows
}
