// `kvseam replay LOG`: runs a recorded stream through the live policy again, to prove it or to see what else would have come.

import { policyHash, withSettings, withTexts } from '../config/policy-settings.js'
import { SeamError } from '../errors.js'
import { createPolicy, isProfile, PROFILES, type Profile } from '../policy/create.js'
import type { CandidateRecord } from '../policy/policy.js'
import { DEFAULT_SETTINGS, type PolicySettings } from '../policy/settings.js'
import type { ConfigRecord } from '../record/event-records.js'
import { type Difference, type ReplayReport, replayFile } from '../replay/report.js'
import { DISCIPLINES } from '../simulate/link.js'
import { MAIN_FAULTS, OTHER_FAULTS, type ScenarioFault } from '../simulate/scenario.js'
import type { CommandIo } from './command.js'
import { EXIT } from './exit-code.js'
import { type CommandSyntax, helpLines, parseOptions } from './options.js'
import { replayTraceCommand } from './replay-trace.js'
import { table } from './text.js'

const SYNTAX = {
  name: 'replay',
  summary:
    'Runs a record log through the live policy code. Under the recorded configuration every record has to come out byte for byte the same; ' +
    'under another one it shows which decisions would have been different (the samples stay the recorded ones). ' +
    'With --trace a request trace drives the policy over simulated links instead.',
  positionals: [{ name: 'log', help: 'record log of openSeam({ recordLog }) or of kvseam demo' }],
  options: {
    trace: { kind: 'text', value: 'FILE', help: 'Mooncake JSONL or Azure CSV trace to simulate, in place of a log' },
    model: { kind: 'text', value: 'NAME', default: 'llama-3.1-8b', help: 'trace: model whose KV bytes are moved' },
    requests: { kind: 'integer', default: 3000, min: 1, max: 1_000_000, help: 'trace: requests to play' },
    load: {
      kind: 'number',
      default: 0.6,
      min: 0.01,
      max: 2,
      help: 'trace: bytes offered over bytes that can be carried',
    },
    links: { kind: 'text', default: 'fifo', choices: DISCIPLINES, help: 'trace: how a link serves several transfers' },
    fault: {
      kind: 'text',
      default: 'none',
      choices: [...MAIN_FAULTS, ...OTHER_FAULTS],
      help: 'trace: what goes wrong',
    },
    seed: { kind: 'integer', default: 1, min: 0, max: 2 ** 32 - 1, help: 'trace: of classes, arrivals and the fault' },
    profile: { kind: 'text', choices: PROFILES, help: 'decide by this profile instead of the recorded one' },
    set: { kind: 'list', value: 'KEY=VALUE', help: 'change a setting of the recorded configuration' },
    differences: { kind: 'integer', default: 5, min: 0, max: 10_000, help: 'differing decisions to show' },
    json: { kind: 'flag', help: 'print the whole report as one object' },
  },
  examples: [
    'kvseam replay decisions.jsonl',
    'kvseam replay decisions.jsonl --profile reference',
    'kvseam replay --trace mooncake.jsonl --fault flap --load 0.8 --set ablate=probes',
    'kvseam replay decisions.jsonl --set upUsable=0.4 --set ablate=damping',
  ],
} as const satisfies CommandSyntax

/** @param argv what follows `kvseam replay` */
export async function replayCommand(argv: string[], io: CommandIo): Promise<number> {
  const { help, values, positionals } = parseOptions(SYNTAX, argv)
  if (help) {
    for (const line of helpLines(SYNTAX, io)) io.stdout(line)
    return EXIT.ok
  }
  const [file] = positionals
  if (values.trace !== undefined && file === undefined) {
    const { trace, model, requests, load, links, fault, seed } = values
    const terms = { file: trace, model, requests, load, links, fault: fault as ScenarioFault, seed }
    return await replayTraceCommand(terms, values.profile, values.set, values.json, io)
  }
  if (file === undefined || values.trace !== undefined) {
    throw new SeamError(
      'KVSEAM_USAGE',
      { command: SYNTAX.name, log: file ?? null, trace: values.trace ?? null },
      'replay: give either a record log or --trace FILE; run "kvseam help replay"',
    )
  }
  const asRecorded = values.profile === undefined && values.set.length === 0
  const report = await replayFile(file, terms(values.profile, values.set), values.differences)
  if (report.log.records === 0) throw new SeamError('KVSEAM_RECORD_LOG', { file }, `${file} holds no records`)
  if (values.json) io.stdout(JSON.stringify(report))
  else for (const line of asRecorded ? proof(report) : comparison(report)) io.stdout(line)
  const held = report.log.brokenAt.length === 0 && report.log.lost === 0
  return asRecorded && !(held && report.records.different === 0) ? EXIT.gateFailed : EXIT.ok
}

function terms(profile: Profile | undefined, changes: readonly string[]) {
  withTexts(DEFAULT_SETTINGS, changes, '--set') // a misspelt key is told before a long log is read
  const settingsOf = (config: ConfigRecord): PolicySettings =>
    withTexts(withSettings(DEFAULT_SETTINGS, config.settings ?? {}, 'the recorded settings'), changes, '--set')
  return {
    open: (config: ConfigRecord) => {
      const name = profile ?? config.profile
      if (!isProfile(name)) {
        throw new SeamError(
          'KVSEAM_RECORD_LOG',
          { profile: name },
          `the log was recorded under profile ${JSON.stringify(name)}, which this version does not know; pass --profile`,
        )
      }
      if (name === 'reference' && changes.length > 0) {
        throw new SeamError(
          'KVSEAM_CONFIG_INVALID',
          { set: changes },
          "the published rules of profile 'reference' have no settings; leave --set out, or add --profile default",
        )
      }
      if (name === 'reference') return { policy: createPolicy(name, DEFAULT_SETTINGS, ''), settings: null }
      const settings = settingsOf(config)
      return { policy: createPolicy(name, settings, policyHash(name, settings)), settings }
    },
    reload: (config: ConfigRecord) => {
      if ((profile ?? config.profile) === 'reference') return null
      const settings = settingsOf(config)
      return { settings, hash: policyHash(profile ?? config.profile, settings) }
    },
  }
}

function proof(report: ReplayReport): string[] {
  const { same, different } = report.records
  const { firstDifferent: first } = report
  return [
    `${report.decisions} decisions replayed; ${same} of ${same + different} records came out byte for byte as recorded.`,
    ...condition(report),
    ...(first === null
      ? []
      : [
          'First difference:',
          `  recorded ${first.recorded ?? '(nothing)'}`,
          `  replayed ${first.replayed ?? '(nothing)'}`,
        ]),
  ]
}

function comparison(report: ReplayReport): string[] {
  const rows = Object.entries(report.verdicts).flatMap(([recorded, row]) =>
    Object.entries(row).map(([replayed, count]) => [recorded, replayed, String(count)]),
  )
  return [
    `${report.decisions} decisions replayed, ${report.differing} with another verdict or path. Samples are the recorded ones.`,
    ...condition(report),
    '',
    ...table([['recorded', 'replayed', 'decisions'], ...rows]),
    ...report.differences.flatMap((difference) => ['', ...sideBySide(difference)]),
  ]
}

function condition({ log }: ReplayReport): string[] {
  return [
    ...(log.brokenAt.length === 0
      ? []
      : [
          `The hash chain is broken at line ${log.brokenAt.join(', ')}: something was changed, dropped or moved there.`,
        ]),
    ...(log.lost === 0 ? [] : [`The writer lost ${log.lost} records, so the replay can't be exact.`]),
    ...(log.torn === 0 ? [] : [`${log.torn} last records were cut off, as by a crash, and left out.`]),
  ]
}

function sideBySide({ recorded, replayed }: Difference): string[] {
  const { req } = recorded
  const paths = [...new Set([...recorded.candidates, ...replayed.candidates].map((candidate) => candidate.path))]
  const of = (record: Difference['recorded'], path: string): string => {
    const candidate = record.candidates.find((each) => each.path === path)
    return candidate === undefined ? '-' : stateOf(candidate)
  }
  return [
    `request ${req.id ?? req.n} (${req.class}, decision ${req.n}): ${recorded.outcome} instead became ${replayed.outcome}`,
    ...table([
      ['', 'recorded', 'replayed'],
      ['  chosen', recorded.chosen ?? '-', replayed.chosen ?? '-'],
      ['  reason', recorded.reason, replayed.reason],
      ...paths.map((path) => [`  ${path}`, of(recorded, path), of(replayed, path)]),
    ]),
  ]
}

function stateOf(candidate: CandidateRecord): string {
  const { state, admissible, outcome, gfs } = candidate
  return `${state}, GFS ${gfs.toFixed(2)}, ${admissible ? 'could take it' : outcome}`
}
