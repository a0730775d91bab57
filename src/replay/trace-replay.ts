// Drives the live policy code from a request trace instead of a log: simulated links carry what it admits, in virtual time.

import { kvShape } from '../kv/shape.js'
import type { Policy } from '../policy/policy.js'
import { demandOf } from '../simulate/demand.js'
import type { Discipline } from '../simulate/link.js'
import { faultsOf, PATH_BYTES_PER_US, PATHS, type ScenarioFault, START_US } from '../simulate/scenario.js'
import type { RunScore } from '../simulate/score.js'
import { simulate } from '../simulate/simulation.js'
import { readTrace } from '../trace/read.js'

export interface TraceReplayTerms {
  readonly file: string
  /** Model whose KV bytes a token are moved. */
  readonly model: string
  readonly requests: number
  /** Bytes offered over bytes that all paths can carry. */
  readonly load: number
  readonly links: Discipline
  readonly fault: ScenarioFault
  readonly seed: number
}

/** Mooncake's clock ticks every 3 s; the seed draws where in its tick a request falls. */
const MOONCAKE_TICK_MS = 3000

/**
 * The same requests, faults and draws for each policy.
 * @returns a score for each, in order @throws KVSEAM_TRACE_INVALID
 */
export async function replayTrace(terms: TraceReplayTerms, policies: readonly Policy[]): Promise<RunScore[]> {
  const { seed, load, links: discipline } = terms
  const { format, requests: trace } = await readTrace(terms.file)
  const demand = demandOf({
    trace,
    tickMs: format === 'mooncake' ? MOONCAKE_TICK_MS : 0,
    requests: terms.requests,
    bytesPerToken: kvShape({ model: terms.model, tokens: 1 }).bytesPerToken,
    seed,
    load,
    capacityBytesPerUs: PATHS * PATH_BYTES_PER_US,
    pathBytesPerUs: PATH_BYTES_PER_US,
    startUs: START_US,
  })
  const faults = faultsOf(terms.fault, seed, demand.spanUs)
  return policies.map((policy) => simulate({ policy, demand, discipline, faults, seed, nominalFactor: 1 }))
}
