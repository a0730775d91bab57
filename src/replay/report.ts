// What a replay found: whether the stream came out the same, and where decisions differ, counted and side by side.

import type { DecisionRecord } from '../record/decision-record.js'
import { type LogCondition, readLog, unread } from '../record/read-log.js'
import { Replay, type ReplayTerms } from './replay.js'

export interface Difference {
  readonly recorded: DecisionRecord
  readonly replayed: DecisionRecord
}

export interface ReplayReport {
  readonly schema: 'kvseam.replay/1'
  readonly file: string
  readonly log: LogCondition
  readonly decisions: number
  /** Records that came out byte for byte as they were recorded, and the others. */
  readonly records: { readonly same: number; readonly different: number }
  /** First record that is not the same. */
  readonly firstDifferent: { readonly recorded: string | null; readonly replayed: string | null } | null
  /** Verdicts, recorded => replayed => how many. */
  readonly verdicts: Readonly<Record<string, Readonly<Record<string, number>>>>
  /** Decisions whose verdict or path differs. */
  readonly differing: number
  readonly differences: readonly Difference[]
}

/** @throws KVSEAM_RECORD_LOG */
export async function replayFile(
  file: string,
  terms: Pick<ReplayTerms, 'open' | 'reload'>,
  mostDifferences: number,
): Promise<ReplayReport> {
  const log = unread()
  const records = { same: 0, different: 0 }
  const verdicts: Record<string, Record<string, number>> = {}
  const differences: Difference[] = []
  let firstDifferent: ReplayReport['firstDifferent'] = null
  let decisions = 0
  let differing = 0
  const replay = new Replay({
    ...terms,
    compare: (recorded, replayed) => {
      if (recorded === replayed) {
        records.same++
        return
      }
      records.different++
      firstDifferent ??= { recorded: recorded ?? null, replayed: replayed ?? null }
    },
    decided: (recorded, replayed) => {
      decisions++
      verdicts[recorded.verdict] ??= {}
      const row = verdicts[recorded.verdict]!
      row[replayed.verdict] = (row[replayed.verdict] ?? 0) + 1
      if (recorded.verdict === replayed.verdict && recorded.chosen === replayed.chosen) return
      differing++
      if (differences.length < mostDifferences) differences.push({ recorded, replayed })
    },
  })
  for await (const record of readLog(file, log)) replay.feed(record)
  replay.end()
  return {
    schema: 'kvseam.replay/1',
    file,
    log,
    decisions,
    records,
    firstDifferent,
    verdicts,
    differing,
    differences,
  }
}
