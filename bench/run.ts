// Measures this software on this machine and prints every figure beside its target. It asserts nothing: exit code 0 whatever
// the figures are, so that a slow machine is no failure. `npm run bench -- --help`.

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { type CommandSyntax, helpLines, parseOptions } from '../src/cli/options.js'
import { didYouMean } from '../src/did-you-mean.js'
import { SeamError } from '../src/errors.js'
import { type Effort, effortOf, type Scenario } from './figure.js'
import { type BenchReport, emptyReport, headLines, resultLines, type ScenarioResult, tailLines } from './report.js'
import { bandwidth } from './scenarios/bandwidth.js'
import { completions } from './scenarios/completions.js'
import { decisions } from './scenarios/decisions.js'
import { descriptors } from './scenarios/descriptors.js'
import { eventLoop } from './scenarios/event-loop.js'
import { faults } from './scenarios/faults.js'
import { gate } from './scenarios/gate.js'
import { leaks } from './scenarios/leaks.js'

const SCENARIOS: readonly Scenario[] = [gate, completions, bandwidth, descriptors, decisions, eventLoop, faults, leaks]

/** Far above what a scenario takes on a busy machine. */
const SCENARIO_LIMIT_MS = 600_000

const SYNTAX = {
  name: 'bench',
  summary: 'Measures the engine, the crossing and the policy on this machine: `npm run bench -- [options]`.',
  options: {
    only: { kind: 'text', value: 'NAME', help: `run one scenario: ${SCENARIOS.map(({ name }) => name).join(', ')}` },
    quick: { kind: 'flag', help: 'a few seconds instead of minutes; the figures then mean little' },
    seed: { kind: 'integer', default: 7, min: 0, max: 2 ** 32 - 1, help: 'of the shuffled block orders' },
    json: { kind: 'flag', help: 'print one JSON object on standard output, progress on standard error' },
  },
} as const satisfies CommandSyntax

async function main(argv: readonly string[]): Promise<void> {
  const { help, values } = parseOptions(SYNTAX, argv)
  const io = { columns: process.stdout.columns || 100, isTty: process.stdout.isTTY === true, env: process.env }
  if (help) {
    for (const line of helpLines(SYNTAX, io)) console.log(line)
    return
  }
  const effort = effortOf(values.quick, values.seed)
  const empty = emptyReport(values.quick, values.seed)
  const say = values.json ? console.error : console.log
  for (const line of headLines(empty)) say(line)
  const results: ScenarioResult[] = []
  for (const scenario of chosen(values.only)) {
    const result = values.only === undefined ? await inOwnProcess(scenario, effort) : await resultOf(scenario, effort)
    results.push(result)
    for (const line of resultLines(result)) say(line)
  }
  const report: BenchReport = { ...empty, results }
  for (const line of tailLines(report)) say(line)
  if (values.json) console.log(JSON.stringify(report))
}

async function resultOf(scenario: Scenario, effort: Effort): Promise<ScenarioResult> {
  return { scenario: scenario.name, title: scenario.title, figures: await scenario.run(effort) }
}

/** What one scenario has compiled, allocated or left spinning must not weigh on the next. */
async function inOwnProcess({ name }: Scenario, { quick, seed }: Effort): Promise<ScenarioResult> {
  const words = ['--only', name, '--seed', String(seed), '--json', ...(quick ? ['--quick'] : [])]
  const { stdout } = await promisify(execFile)(process.execPath, [...process.execArgv, process.argv[1]!, ...words], {
    timeout: SCENARIO_LIMIT_MS,
    killSignal: 'SIGKILL',
    maxBuffer: 64 * 2 ** 20,
  })
  return (JSON.parse(stdout) as BenchReport).results[0]!
}

function chosen(only: string | undefined): readonly Scenario[] {
  if (only === undefined) return SCENARIOS
  const found = SCENARIOS.find(({ name }) => name === only)
  if (found !== undefined) return [found]
  const names = SCENARIOS.map(({ name }) => name)
  throw new SeamError(
    'KVSEAM_USAGE',
    { option: '--only', value: only, known: names },
    `--only ${JSON.stringify(only)} is no scenario${didYouMean(only, names)}; known are ${names.join(', ')}`,
  )
}

try {
  await main(process.argv.slice(2))
} catch (error) {
  console.error(SeamError.is(error) ? `error: ${error.code}: ${error.message}` : error)
  process.exitCode = SeamError.is(error, 'KVSEAM_USAGE') ? 2 : 1
}
