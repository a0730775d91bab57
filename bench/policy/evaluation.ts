// Runs contenders over cells (fault, discipline, load) and seeds. All contenders of a cell meet the same requests, faults and
// draws of a seed, so that differences between them can be paired.

import type { Contender } from '../../src/simulate/contenders.js'
import { type Demand, demandOf } from '../../src/simulate/demand.js'
import type { Discipline } from '../../src/simulate/link.js'
import { faultsOf, PATH_BYTES_PER_US, type ScenarioFault, START_US } from '../../src/simulate/scenario.js'
import type { RunScore } from '../../src/simulate/score.js'
import { simulate } from '../../src/simulate/simulation.js'
import type { TraceRequest } from '../../src/trace/request.js'

export interface Cell {
  readonly fault: ScenarioFault
  readonly discipline: Discipline
  /** Bytes offered over what sound paths can carry. */
  readonly load: number
}

export interface Workload {
  readonly trace: readonly TraceRequest[]
  readonly tickMs: number
  /** Requests in one run. */
  readonly requests: number
  readonly bytesPerToken: number
}

export interface EvaluationOptions {
  /** Of a run, and transfers that may be in flight on each. */
  readonly paths: number
  readonly sessions: number
  readonly workload: Workload
  readonly seeds: readonly number[]
  readonly nominalFactor: number | null
  readonly patience: number
  readonly mayQueue: boolean
  readonly calibrate: boolean
}

export interface CellResult {
  readonly cell: Cell
  /** By contender's name, one score a seed in the order of the seeds. */
  readonly scores: ReadonlyMap<string, readonly RunScore[]>
}

/** @param onCell called when a cell is done, for progress */
export function evaluate(
  contenders: readonly Contender[],
  cells: readonly Cell[],
  options: EvaluationOptions,
  onCell: (done: number) => void = () => {},
): CellResult[] {
  const demands = new Map<string, Demand>()
  return cells.map((cell, i) => {
    const scores = new Map(contenders.map((contender) => [contender.name, runSeeds(contender, cell, options, demands)]))
    onCell(i + 1)
    return { cell, scores }
  })
}

function runSeeds(
  contender: Contender,
  { fault, discipline, load }: Cell,
  options: EvaluationOptions,
  demands: Map<string, Demand>,
): RunScore[] {
  const { workload, seeds, paths } = options
  return seeds.map((seed) => {
    const demand = demandFor(workload, paths, seed, load, demands)
    const faults = faultsOf(fault, seed, demand.spanUs, paths)
    const policy = contender.create(seed, faults)
    return simulate({ ...options, policy, demand, discipline, faults, seed })
  })
}

function demandFor(
  workload: Workload,
  paths: number,
  seed: number,
  load: number,
  demands: Map<string, Demand>,
): Demand {
  const key = `${seed} ${load}`
  const known = demands.get(key)
  if (known !== undefined) return known
  const demand = demandOf({
    ...workload,
    seed,
    load,
    capacityBytesPerUs: paths * PATH_BYTES_PER_US,
    pathBytesPerUs: PATH_BYTES_PER_US,
    startUs: START_US,
  })
  demands.set(key, demand)
  return demand
}

/** On time over all requests, rejected ones included, in percent. */
export function onTimePercent(score: RunScore): number {
  return (100 * score.onTime) / score.requests
}

export function meanOf(scores: readonly RunScore[], figure: (score: RunScore) => number | null): number | null {
  const values = scores.map(figure).filter((value) => value !== null)
  return values.length === 0 ? null : values.reduce((a, b) => a + b, 0) / values.length
}
