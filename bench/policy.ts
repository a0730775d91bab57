// `npm run bench:policy`: the default profile against the baselines in the simulator, what its components are worth, and
// whether it harms a sound system. Figures depend on seeds and options alone, not on the machine; see docs/policy-evaluation.md.

import type { CommandIo } from '../src/cli/command.js'
import { EXIT, exitCodeOf } from '../src/cli/exit-code.js'
import { type CommandSyntax, helpLines, parseOptions } from '../src/cli/options.js'
import { SeamError } from '../src/errors.js'
import { kvShape } from '../src/kv/shape.js'
import { BASELINES, OURS, withoutComponents } from '../src/simulate/contenders.js'
import { DEMAND_CLASSES } from '../src/simulate/demand.js'
import { DISCIPLINES, type Discipline } from '../src/simulate/link.js'
import { MAIN_FAULTS, OTHER_FAULTS, PATHS, type ScenarioFault, SESSIONS } from '../src/simulate/scenario.js'
import { generatedTrace } from '../src/trace/generated.js'
import { readTrace } from '../src/trace/read.js'
import { ablation, ablationTable } from './policy/ablation.js'
import { type Cell, type CellResult, type EvaluationOptions, evaluate, type Workload } from './policy/evaluation.js'
import { harm, harmTable } from './policy/harm.js'
import { conductTable, groupedBy, outcomeTable } from './policy/tables.js'
import { TOLERANCE_POINTS, verdicts } from './policy/verdict.js'

const SECTIONS = ['main', 'others', 'ablation', 'harm'] as const

/** The trace is compressed to its load, so that a burst of 8 s becomes about one second, at twice the load. */
const GENTLE_BURST = { rateFactor: 2, timeShare: 0.2, meanMs: 8000 }

const SYNTAX = {
  name: 'bench:policy',
  summary: 'Simulates the policies in virtual time and prints who serves how many requests by their deadline.',
  options: {
    trace: { kind: 'text', value: 'FILE', help: 'Mooncake or Azure trace; a generated one unless told' },
    model: { kind: 'text', value: 'NAME', default: 'deepseek-v3-r1', help: 'model whose KV bytes per token are moved' },
    seeds: { kind: 'integer', min: 1, max: 1000, default: 20, help: 'seeds, counted from --seed' },
    seed: { kind: 'integer', min: 0, default: 1, help: 'first seed' },
    loads: { kind: 'text', value: 'A,B', default: '0.4,0.6,0.8', help: 'bytes offered over bytes that can be carried' },
    requests: { kind: 'integer', min: 1, default: 7000, help: 'requests in a run' },
    links: { kind: 'text', value: 'A,B', default: 'fifo,fair', help: 'of fifo, fair, mixed' },
    only: { kind: 'text', value: 'A,B', default: SECTIONS.join(','), help: `sections: ${SECTIONS.join(', ')}` },
    without: { kind: 'text', value: 'A,B', help: 'components of the ablation table; all unless told' },
    paths: { kind: 'integer', min: 2, max: 8, default: PATHS, help: 'paths of a run, an even number' },
    sessions: { kind: 'integer', min: 1, default: SESSIONS, help: 'transfers that may be in flight on a path' },
    'rate-told': {
      kind: 'number',
      min: 0,
      default: 1,
      help: 'rate told to the policy over the true one; 0 tells none',
    },
    patience: { kind: 'number', min: 1, default: 4, help: 'times to the deadline after which a transfer is given up' },
    'at-once': { kind: 'flag', help: 'requests cannot wait in the policy: it admits or rejects at once' },
    calibrate: { kind: 'flag', help: 'compare predictions with what came' },
    quick: { kind: 'flag', help: '3 seeds, 3000 requests' },
    json: { kind: 'flag', help: 'print every figure as one JSON object' },
  },
  examples: ['npm run bench:policy -- --trace mooncake.jsonl --only main --seeds 20'],
} as const satisfies CommandSyntax

async function policyBench(argv: string[], io: Pick<CommandIo, 'stdout' | 'stderr' | 'isTty' | 'columns' | 'env'>) {
  const { help, values } = parseOptions(SYNTAX, argv)
  if (help) {
    for (const line of helpLines(SYNTAX, io)) io.stdout(line)
    return EXIT.ok
  }
  const sections = listOf('only', values.only, SECTIONS)
  const disciplines = listOf('links', values.links, DISCIPLINES)
  const loads = values.loads.split(',').map((text) => loadOf(text))
  const count = values.quick ? 3 : values.seeds
  const seeds = Array.from({ length: count }, (_, i) => values.seed + i)
  const workload = await workloadOf(values.trace, values.model, values.quick ? 3000 : values.requests, values.seed)
  const options: EvaluationOptions = {
    paths: values.paths - (values.paths % 2),
    sessions: values.sessions,
    workload,
    seeds,
    nominalFactor: values['rate-told'] === 0 ? null : values['rate-told'],
    patience: values.patience,
    mayQueue: !values['at-once'],
    calibrate: values.calibrate,
  }
  const report: Record<string, unknown> = {
    trace: values.trace ?? 'generated',
    bytesPerToken: workload.bytesPerToken,
    requests: workload.requests,
    seeds,
    loads,
    patience: values.patience,
    mayQueue: options.mayQueue,
    paths: options.paths,
    sessions: options.sessions,
  }
  const say = (line = '') => {
    if (!values.json) io.stdout(line)
  }
  for (const line of preamble(report)) say(line)

  for (const section of sections) {
    say()
    switch (section) {
      case 'main':
      case 'others': {
        const faults = section === 'main' ? MAIN_FAULTS : OTHER_FAULTS
        const results = evaluate([...OURS, ...BASELINES], cellsOf(faults, disciplines, loads), options, (done) =>
          io.stderr(`${section}: ${done} cells done`),
        )
        report[section] = jsonOf(results)
        outcomes(results, say)
        break
      }
      case 'ablation': {
        const cells = cellsOf([...MAIN_FAULTS, ...OTHER_FAULTS], disciplines, loads)
        const without = withoutComponents(values.without?.split(','))
        const rows = ablation(OURS[0]!, without, cells, options, (name) => io.stderr(`ablation: without ${name}`))
        report[section] = rows
        say(
          'What the default profile loses without a component: points of on-time share, mean over the cells and the cells',
        )
        say(
          'where it is worth most and costs most (* the 95 % interval excludes 0); the rest is "without" minus "with".',
        )
        say()
        for (const line of ablationTable(rows)) say(line)
        break
      }
      case 'harm': {
        const rows = harm(OURS[0]!, options)
        report[section] = rows
        say('Do no harm: no fault; on time %, quarantines and transitions summed over the seeds.')
        say()
        for (const line of harmTable(rows)) say(line)
        say(`${rows.reduce((sum, row) => sum + row.quarantines, 0)} quarantines in ${rows.length * count} runs`)
        break
      }
    }
  }
  if (values.json) io.stdout(JSON.stringify(report))
  return EXIT.ok
}

function outcomes(results: readonly CellResult[], say: (line?: string) => void): void {
  const contenders = [...OURS, ...BASELINES]
  const ours = OURS[0]!.name
  const all = verdicts(results, contenders, ours)
  for (const [, block] of groupedBy(results, ({ cell }) => `${cell.discipline} ${cell.load}`)) {
    const { discipline, load } = block[0]!.cell
    say(`${discipline} links, load ${load}: on time %, rejected requests counted as late`)
    for (const line of outcomeTable(block, contenders, all)) say(line)
    say()
    say(`${discipline} links, load ${load}: how ${ours} behaved`)
    for (const line of conductTable(block, ours)) say(line)
    say()
  }
  const lost = all.filter((verdict) => !verdict.won)
  say(
    `${ours}: ${all.length - lost.length} of ${all.length} cells won (best, or within ${TOLERANCE_POINTS} points of it)`,
  )
  for (const { cell, bestRival, lead } of lost) {
    say(
      `lost: ${cell.fault}, ${cell.discipline}, load ${cell.load}: ${lead.mean.toFixed(2)} points behind ${bestRival}`,
    )
  }
}

function preamble({ trace, bytesPerToken, requests, seeds, patience }: Record<string, unknown>): string[] {
  const list = seeds as number[]
  const classes = DEMAND_CLASSES.map(
    ({ workload, share, deadlineFactor }) => `${workload.name} ${100 * share} % due 20 ms + ${deadlineFactor} T0`,
  )
  return [
    `trace ${trace}, ${requests} requests a run, ${bytesPerToken} KV bytes a token, seeds ${list[0]}..${list.at(-1)}`,
    `classes and deadlines are ours: ${classes.join(', ')} (T0: alone on an idle path)`,
    `a transfer is given up at ${patience} x its deadline; a failed one is tried again elsewhere, at most twice`,
    'emulated links in virtual time: nothing here was measured on a network',
  ]
}

async function workloadOf(file: string | undefined, model: string, requests: number, seed: number): Promise<Workload> {
  const { bytesPerToken } = kvShape({ model, tokens: 1 })
  if (file === undefined)
    return { trace: generatedTrace({ seed, requests, burst: GENTLE_BURST }), tickMs: 0, requests, bytesPerToken }
  const { format, requests: trace } = await readTrace(file)
  // Mooncake's clock ticks every 3 s; the seeds draw where in its tick a request falls.
  return { trace, tickMs: format === 'mooncake' ? 3000 : 0, requests, bytesPerToken }
}

function cellsOf(
  faults: readonly ScenarioFault[],
  disciplines: readonly Discipline[],
  loads: readonly number[],
): Cell[] {
  return disciplines.flatMap((discipline) =>
    loads.flatMap((load) => faults.map((fault) => ({ fault, discipline, load }))),
  )
}

function jsonOf(results: readonly CellResult[]): unknown {
  return results.map(({ cell, scores }) => ({ ...cell, scores: Object.fromEntries(scores) }))
}

function listOf<T extends string>(option: string, text: string, known: readonly T[]): T[] {
  return text.split(',').map((name) => {
    const found = known.find((each) => each === name)
    if (found !== undefined) return found
    throw new SeamError(
      'KVSEAM_USAGE',
      { option, value: name, known },
      `--${option}: unknown ${JSON.stringify(name)}; known: ${known.join(', ')}`,
    )
  })
}

function loadOf(text: string): number {
  const load = Number(text)
  if (load > 0 && load < 2) return load
  throw new SeamError('KVSEAM_USAGE', { option: 'loads', value: text }, `--loads: ${text} is not between 0 and 2`)
}

const { stdout, stderr, env } = process
try {
  process.exitCode = await policyBench(process.argv.slice(2), {
    stdout: (line) => void stdout.write(`${line}\n`),
    stderr: (line) => void stderr.write(`${line}\n`),
    isTty: stdout.isTTY === true,
    columns: stdout.columns || 120,
    env,
  })
} catch (error) {
  if (!(error instanceof SeamError)) throw error
  stderr.write(`error: ${error.code}: ${error.message}\n`)
  process.exitCode = exitCodeOf(error)
}
