// One small simulated run, for tests: a generated trace without bursts, a third of full load, and whatever the test wants.

import type { Policy } from '../../src/policy/policy.js'
import { type Demand, demandOf } from '../../src/simulate/demand.js'
import type { FaultInterval } from '../../src/simulate/fault.js'
import type { Discipline } from '../../src/simulate/link.js'
import { faultsOf, PATH_BYTES_PER_US, PATHS, type ScenarioFault, START_US } from '../../src/simulate/scenario.js'
import type { RunScore } from '../../src/simulate/score.js'
import { simulate } from '../../src/simulate/simulation.js'
import { generatedTrace } from '../../src/trace/generated.js'

export interface RunRequest {
  readonly policy?: Policy
  /** Instead of `policy`, for one that wants the faults. */
  readonly create?: (seed: number, faults: readonly FaultInterval[]) => Policy
  readonly fault: ScenarioFault
  readonly seed?: number
  readonly load?: number
  readonly requests?: number
  readonly discipline?: Discipline
  readonly nominalFactor?: number | null
  readonly patience?: number
  readonly bytesPerToken?: number
  readonly mayQueue?: boolean
}

const trace = generatedTrace({ seed: 11, requests: 4000, burst: { rateFactor: 1, timeShare: 0, meanMs: 1 } })

function parts({ fault, seed = 1, load = 0.3, requests = 2000, bytesPerToken = 327_680 }: RunRequest): {
  demand: Demand
  faults: FaultInterval[]
} {
  const demand = demandOf({
    trace,
    tickMs: 0,
    seed,
    requests,
    bytesPerToken,
    load,
    capacityBytesPerUs: PATHS * PATH_BYTES_PER_US,
    pathBytesPerUs: PATH_BYTES_PER_US,
    startUs: START_US,
  })
  return { demand, faults: faultsOf(fault, seed, demand.spanUs) }
}

export function run(request: RunRequest): RunScore {
  const { demand, faults } = parts(request)
  const { seed = 1, discipline = 'fair', nominalFactor = 1, patience, mayQueue = true } = request
  const policy = request.policy ?? request.create!(seed, faults)
  return simulate({
    policy,
    demand,
    faults,
    discipline,
    seed,
    nominalFactor,
    mayQueue,
    ...(patience === undefined ? {} : { patience }),
  })
}

run.parts = parts
