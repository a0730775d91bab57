// `kvseam replay --trace FILE`: what the policy makes of a request trace, and what another configuration would make of it.

import { policyHash, withTexts } from '../config/policy-settings.js'
import { createPolicy, type Profile } from '../policy/create.js'
import type { Policy } from '../policy/policy.js'
import { DEFAULT_SETTINGS } from '../policy/settings.js'
import { replayTrace, type TraceReplayTerms } from '../replay/trace-replay.js'
import { DEMAND_CLASSES } from '../simulate/demand.js'
import type { RunScore } from '../simulate/score.js'
import type { CommandIo } from './command.js'
import { EXIT } from './exit-code.js'
import { table } from './text.js'

interface Contender {
  readonly name: string
  readonly policy: Policy
}

/** @param profile undefined when only settings are changed, or nothing */
export async function replayTraceCommand(
  terms: TraceReplayTerms,
  profile: Profile | undefined,
  changes: readonly string[],
  json: boolean,
  io: Pick<CommandIo, 'stdout'>,
): Promise<number> {
  const other = profile !== undefined || changes.length > 0
  const contenders = [contender('default', []), ...(other ? [contender(profile ?? 'default', changes)] : [])]
  const scores = await replayTrace(
    terms,
    contenders.map(({ policy }) => policy),
  )
  if (json) {
    const runs = contenders.map(({ name }, i) => ({ name, ...scores[i]! }))
    io.stdout(JSON.stringify({ schema: 'kvseam.replay-trace/1', label: 'emulated', ...terms, runs }))
    return EXIT.ok
  }
  io.stdout(
    `${scores[0]!.requests} requests of ${terms.file} over eight simulated ${terms.links} links, load ${terms.load}, fault ${terms.fault}, seed ${terms.seed}; ` +
      `${scores[0]!.simulatedSeconds.toFixed(1)} s of virtual time`,
  )
  io.stdout('')
  for (const line of table(rowsOf(contenders, scores))) io.stdout(line)
  const [own, alternative] = scores
  if (alternative !== undefined && own!.digest === alternative.digest) {
    io.stdout('')
    io.stdout('Both runs came out the same: every request went the same way and ended the same.')
  }
  return EXIT.ok
}

function contender(profile: Profile, changes: readonly string[]): Contender {
  const settings = withTexts(DEFAULT_SETTINGS, changes, '--set')
  const name = changes.length === 0 ? profile : `${profile} ${changes.join(' ')}`
  return { name, policy: createPolicy(profile, settings, policyHash(profile, settings)) }
}

function rowsOf(contenders: readonly Contender[], scores: readonly RunScore[]): string[][] {
  const row = (name: string, figure: (score: RunScore) => string): string[] => [name, ...scores.map(figure)]
  const percent = (part: number, whole: number): string =>
    whole === 0 ? '-' : `${((100 * part) / whole).toFixed(2)} %`
  return [
    ['', ...contenders.map(({ name }) => name)],
    row('on time', ({ onTime, requests }) => percent(onTime, requests)),
    ...DEMAND_CLASSES.map(({ workload }, i) =>
      row(`  ${workload.name}`, ({ classes }) => percent(classes[i]!.onTime, classes[i]!.requests)),
    ),
    row('rejected', ({ rejected }) => String(rejected)),
    row('failed', ({ failed }) => String(failed)),
    row('p99 slowdown', ({ p99Slowdown }) => p99Slowdown.toFixed(2)),
    row('state changes', ({ transitions }) => String(transitions)),
    row('wrongly quarantined', ({ falseQuarantines }) => String(falseQuarantines)),
    row('probe bytes', ({ probeShare }) => `${(100 * probeShare).toFixed(3)} %`),
    row('digest', ({ digest }) => digest.toString(16).padStart(8, '0')),
  ]
}
