// kvseam beside its native peers: the same blocks and sizes in rounds that alternate, medians, and ratios round by round.

import { SeamError } from '../errors.js'
import type { Cell } from './axes.js'
import { CONTESTANTS, type Contestant, type ContestantName } from './contestants.js'
import { type Environment, environment } from './environment.js'
import type { BenchOptions, Operation } from './report.js'
import { Bench, transfersInPool } from './run.js'

interface PeerRow {
  readonly cell: string
  readonly name: string
  readonly about: string
  /** Medians and extremes of the rounds. */
  readonly bytesPerSecond: number
  readonly low: number
  readonly high: number
  /** kvseam's rate over this one's, median of the rounds; null for kvseam itself. */
  readonly ratio: number | null
}

export interface PeersReport {
  readonly schema: 'kvseam.bench-peers/1'
  readonly label: string
  readonly provider: string
  readonly providerVersion: string
  readonly environment: Environment
  readonly operation: Operation
  readonly options: BenchOptions
  readonly rows: readonly PeerRow[]
  /** Contestants that could not take part, with the reason. */
  readonly absent: readonly { readonly name: string; readonly reason: string }[]
}

const OURS = 'kvseam'

/** @param options `window` handoffs of ours are in flight; 1 is what the native peers do */
export async function runPeers(
  cells: readonly Cell[],
  operation: Operation,
  names: readonly ContestantName[],
  options: BenchOptions,
  signal: AbortSignal,
  onRound: (text: string) => void,
): Promise<PeersReport> {
  const machine = environment()
  const rounds = options.rounds
  const bench = await Bench.open({ ...options, rounds: 1, durationMs: options.durationMs / rounds }, signal)
  try {
    const ours: Contestant = {
      name: OURS,
      about: `${operation} over ${bench.backend.provider}, permits minted without a decision`,
      async round(cell) {
        const [figures] = await bench.measure(cell, operation, ['off'], 'alone')
        return figures?.bytesPerSecond ?? 0
      },
    }
    const absent = new Map<string, string>()
    const rows: PeerRow[] = []
    for (const cell of cells) {
      const taking = [ours, ...names.map((name): Contestant => CONTESTANTS[name])].filter(
        ({ name }) => !absent.has(name),
      )
      const poolBlocks = transfersInPool(cell, options, 1) * cell.batch
      const rates = new Map(taking.map(({ name }) => [name, [] as number[]]))
      for (let round = 0; round < rounds && !signal.aborted; round++) {
        for (const each of round % 2 === 0 ? taking : [...taking].reverse()) {
          if (absent.has(each.name) || signal.aborted) continue
          onRound(`${cell.name}, round ${round + 1}/${rounds}: ${each.name} ...`)
          try {
            rates
              .get(each.name)!
              .push(await each.round(cell, poolBlocks, options.durationMs / rounds / 1e3, options.seed))
          } catch (error) {
            if (each === ours || !SeamError.is(error, 'KVSEAM_BACKEND_UNAVAILABLE')) throw error
            absent.set(each.name, error.message)
          }
        }
      }
      if (signal.aborted) break
      rows.push(
        ...rowsOf(
          cell,
          taking.filter(({ name }) => !absent.has(name)),
          rates,
        ),
      )
    }
    const { label, provider, version } = bench.backend
    return {
      schema: 'kvseam.bench-peers/1',
      label,
      provider,
      providerVersion: version,
      environment: machine,
      operation,
      options,
      rows,
      absent: [...absent].map(([name, reason]) => ({ name, reason })),
    }
  } finally {
    await bench.close()
  }
}

function rowsOf(cell: Cell, taking: readonly Contestant[], rates: ReadonlyMap<string, readonly number[]>): PeerRow[] {
  const ours = rates.get(OURS)!
  return taking.map(({ name, about }) => {
    const theirs = rates.get(name)!
    const ratios = theirs.map((rate, round) => ours[round]! / rate)
    return {
      cell: cell.name,
      name,
      about,
      bytesPerSecond: median(theirs),
      low: Math.min(...theirs),
      high: Math.max(...theirs),
      ratio: name === OURS ? null : median(ratios),
    }
  })
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}
