// The demo command: a request trace over live paths, one of which turns gray, with the policy deciding before your eyes.

import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { planDemo } from '../demo/plan.js'
import { type DemoFault, type DemoRun, runDemo } from '../demo/run.js'
import { storyLines, summarize } from '../demo/story.js'
import { DemoView } from '../demo/view.js'
import { KV_MODELS } from '../kv/model.js'
import { PROFILES, type Profile } from '../policy/create.js'
import { generatedTrace } from '../trace/generated.js'
import { readTrace } from '../trace/read.js'
import type { TraceRequest } from '../trace/request.js'
import type { CommandIo } from './command.js'
import { EXIT } from './exit-code.js'
import { LiveTable } from './live-table.js'
import { type CommandSyntax, helpLines, parseOptions } from './options.js'
import { paint } from './text.js'

const SYNTAX = {
  name: 'demo',
  summary:
    'Plays a request trace: a prefill process hands KV blocks to decode processes over paths that the policy admits. Part-way one path turns gray.',
  options: {
    trace: {
      kind: 'text',
      value: 'FILE',
      help: 'Mooncake JSONL or Azure CSV trace; one made from the seed unless given',
    },
    requests: { kind: 'integer', default: 600, min: 1, max: 1_000_000, help: 'requests to play' },
    duration: {
      kind: 'duration',
      default: 15_000,
      min: 500,
      max: 3_600_000,
      help: 'time to play them in; the trace is stretched to it',
    },
    model: {
      kind: 'text',
      default: 'llama-3.1-8b',
      value: 'NAME',
      help: `KV shape: ${Object.keys(KV_MODELS).join(', ')}`,
    },
    tp: {
      kind: 'integer',
      default: 1,
      min: 1,
      max: 1024,
      help: 'tensor-parallel ranks; the transfers of one rank are played',
    },
    'bytes-scale': {
      kind: 'number',
      default: 0,
      min: 0,
      max: 1,
      help: 'bytes of a block over the model’s own; 0 fits the machine',
    },
    'max-tokens': { kind: 'integer', default: 8192, min: 16, max: 1_000_000, help: 'longer prompts are cut to this' },
    decodes: { kind: 'integer', default: 2, min: 1, max: 16, help: 'decode processes' },
    rails: { kind: 'integer', default: 2, min: 1, max: 16, help: 'rails of each agent' },
    'rail-rate': {
      kind: 'bytes',
      min: 1,
      help: 'modelled rate of a rail, bytes a second; 200 MB unless told, 2 GB under the published rules',
    },
    profile: { kind: 'text', default: 'default', choices: PROFILES, help: 'rules that admit' },
    backend: { kind: 'text', default: 'mock', value: 'NAME', help: 'transport that moves the bytes' },
    device: {
      kind: 'text',
      value: 'NAME',
      help: 'what a real backend opens for each rail, such as tcp/lo (the default with ucx) or shm',
    },
    faults: { kind: 'text', value: 'SPEC', help: 'faults in the grammar of KVSEAM_FAULTS instead of the gray path' },
    'no-fault': { kind: 'flag', help: 'leave all paths well' },
    seed: { kind: 'integer', default: 7, min: 0, max: 2 ** 32 - 1, help: 'of the trace, the classes and the faults' },
    log: { kind: 'text', value: 'FILE', help: 'decision log; a file in the temporary folder unless given' },
    json: { kind: 'flag', help: 'print a summary object on standard output, progress on standard error' },
  },
  examples: [
    'kvseam demo',
    'kvseam demo --backend ucx --device shm',
    'kvseam demo --trace mooncake.jsonl --model llama-3.1-70b --tp 8 --duration 30s',
    "kvseam demo --faults 'rail1.write=20%drop'",
  ],
} as const satisfies CommandSyntax

/** When the demo's own fault is on, as shares of the run. */
const FAULT_FROM = 0.27
const FAULT_TO = 0.5
/** Late by more than strict work can wait, and far within a batch job's patience. */
const FAULT_ACTION = 'delay(250ms~80ms)'
/** The published rules score raw milliseconds: this is more jitter than interactive work tolerates, and no more. */
const FAULT_ACTION_REFERENCE = 'delay(12ms~8ms)'
/** Transfers of 10 to 20 ms: on a busy machine the noise of a few must not look like a slow path. */
const RAIL_RATE = 200_000_000
/** Their raw milliseconds are met only by transfers that take hardly any. */
const RAIL_RATE_REFERENCE = 2_000_000_000
const PLAIN_LINE_EVERY_MS = 1000
const REDRAW_EVERY_MS = 100

export async function demoCommand(argv: string[], io: CommandIo): Promise<number> {
  const parsed = parseOptions(SYNTAX, argv)
  if (parsed.help) {
    for (const line of helpLines(SYNTAX, io)) io.stdout(line)
    return EXIT.ok
  }
  const options = parsed.values
  const say = options.json ? io.stderr : io.stdout
  const trace = await requests(options.trace, options.requests, options.seed)
  const plan = planDemo({
    model: options.model,
    tp: options.tp,
    seed: options.seed,
    durationMs: options.duration,
    maxTokens: options['max-tokens'],
    bytesScale: options['bytes-scale'],
    trace,
  })
  const mayFault = options.backend === 'mock' || io.env['KVSEAM_FAULTS_ALLOW_REAL'] === '1'
  const wantsOwn = !options['no-fault'] && options.faults === undefined
  const own = wantsOwn && mayFault
  const log = options.log ?? join(tmpdir(), `kvseam-demo-${process.pid}.jsonl`)
  const signal = io.signal ?? new AbortController().signal

  using live = new LiveTable({ screen: options.json ? undefined : io.screen })
  const view = new DemoView(paint(io))
  const tell = (line: string): void => (live.isLive ? live.print(line) : say(line))
  let ticker: NodeJS.Timeout | undefined
  tell(
    `kvseam demo on the ${options.backend} backend: 1 prefill process, ${options.decodes} decode processes, ${options.rails} rails each, ` +
      `${plan.requests.length} requests in ${(options.duration / 1000).toFixed(0)} s, policy '${options.profile}', seed ${options.seed}`,
  )
  if (wantsOwn && !mayFault) {
    tell('all paths stay well: faults on real traffic need KVSEAM_FAULTS_ALLOW_REAL=1 as well')
  }
  let run: DemoRun
  try {
    run = await runDemo(
      {
        plan,
        backend: options.backend,
        profile: options.profile,
        decodes: options.decodes,
        rails: options.rails,
        railBytesPerSecond: options['rail-rate'] ?? (options.profile === 'reference' ? RAIL_RATE_REFERENCE : RAIL_RATE),
        railLatencyUs: 50,
        // Its processes are all on this machine.
        railDevice: options.device ?? (options.backend === 'ucx' ? 'tcp/lo' : undefined),
        fault: own ? demoFault(options.duration, options.profile) : undefined,
        faults: options.faults,
        recordLog: log,
        logger: pino(
          { name: 'kvseam', level: io.env['KVSEAM_LOG_LEVEL'] ?? 'error' },
          pino.destination({ dest: 2, sync: true }),
        ),
      },
      signal,
      {
        running: (running) => {
          ticker = setInterval(
            () => (live.isLive ? live.draw(view.lines(running), performance.now()) : say(view.line(running))),
            live.isLive ? REDRAW_EVERY_MS : PLAIN_LINE_EVERY_MS,
          )
        },
        news: tell,
        ended: (ended) => {
          clearInterval(ticker)
          if (live.isLive) live.draw(view.lines(ended), Number.POSITIVE_INFINITY)
        },
      },
    )
  } finally {
    clearInterval(ticker)
  }
  live.close()
  const summary = summarize(run, signal.aborted)
  say('')
  for (const line of storyLines(summary, plan)) say(line)
  if (options.json) io.stdout(JSON.stringify(summary))
  if (signal.aborted) return EXIT.interrupted
  return summary.mismatched > 0 && own ? EXIT.failure : EXIT.ok
}

async function requests(file: string | undefined, count: number, seed: number): Promise<readonly TraceRequest[]> {
  if (file !== undefined) return (await readTrace(file, { limit: count, spreadTicks: true })).requests
  return generatedTrace({
    seed,
    requests: count,
    ratePerSecond: 50,
    burst: { rateFactor: 2, timeShare: 0.2, meanMs: 500 },
  })
}

function demoFault(durationMs: number, profile: Profile): DemoFault {
  return {
    action: profile === 'reference' ? FAULT_ACTION_REFERENCE : FAULT_ACTION,
    fromMs: Math.round(durationMs * FAULT_FROM),
    toMs: Math.round(durationMs * FAULT_TO),
  }
}
