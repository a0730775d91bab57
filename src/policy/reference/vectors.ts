// Checks a file of published cases (JSON lines of kind, id, input, expected) against this profile. Pure over text: the
// caller reads the file. Every kind goes through the functions the profile itself runs on.

import { SeamError } from '../../errors.js'
import { judge } from './admissibility.js'
import { demandOf } from './demand.js'
import { failureAmplification } from './failure-amplification.js'
import { grayFailureScore } from './gray-failure-score.js'
import { SEVERITY } from './path-state.js'
import { nextStep } from './path-transition.js'
import { propagationRisk } from './propagation-risk.js'
import { roundHalfEven } from './rounding.js'
import { compareRanks, RANK_KEYS, rankInto, rankLength, selectionPolicyOf, softLimit } from './selection.js'
import { mean, percentile99, standardDeviation } from './statistics.js'
import { PUBLISHED_THRESHOLDS } from './thresholds.js'
import {
  compare,
  EXACT_TOLERANCE,
  type Json,
  type Mismatch,
  MissingExpectation,
  ROUNDED_TOLERANCE,
} from './vector-comparison.js'
import { Fields, invalidVector, type LineOrigin } from './vector-fields.js'
import { runTrace } from './vector-trace.js'

export interface CaseResult {
  readonly id: string
  readonly kind: string
  readonly line: number
  /** Empty when the case passes. */
  readonly mismatches: readonly Mismatch[]
}

export interface VectorReport {
  readonly passed: number
  readonly failed: number
  readonly failures: readonly CaseResult[]
}

/** What the code answers for one case, in the vectors' spelling. */
const ANSWERS: Readonly<Record<string, (input: Fields) => Json>> = {
  gfs: answerGfs,
  prs_fae: answerPrsFae,
  admissibility: answerAdmissibility,
  transition: answerTransition,
  selection: answerSelection,
  trace: (input) => ({ steps: runTrace(input) }),
}

/** Throws KVSEAM_VECTORS_INVALID for a line that is no case, a repeated id, or a file without cases. */
export function checkVectors(text: string, file: string): VectorReport {
  const failures: CaseResult[] = []
  const lineOfId = new Map<string, number>()
  let passed = 0
  let line = 0
  for (const content of text.split('\n')) {
    line++
    if (content.trim() === '') continue
    const result = checkVectorLine(content, { file, line })
    const earlier = lineOfId.get(result.id)
    if (earlier !== undefined) {
      throw invalidVector(
        { file, line },
        `id '${result.id}' is already on line ${earlier}`,
        'give every case its own id',
      )
    }
    lineOfId.set(result.id, line)
    if (result.mismatches.length === 0) passed++
    else failures.push(result)
  }
  if (lineOfId.size === 0) {
    throw invalidVector({ file, line: 1 }, 'the file holds no cases', 'give a file of JSON lines, one case a line')
  }
  return { passed, failed: failures.length, failures }
}

export function checkVectorLine(content: string, origin: LineOrigin): CaseResult {
  const fields = new Fields(parse(content, origin), '', origin)
  const kind = fields.text('kind')
  const id = fields.text('id')
  const answer = Object.hasOwn(ANSWERS, kind) ? ANSWERS[kind] : undefined
  if (answer === undefined) {
    throw invalidVector(
      origin,
      `unknown kind '${kind}'`,
      `use one of ${Object.keys(ANSWERS).join(', ')}, or a kvseam that knows this kind`,
    )
  }
  const input = fields.object('input')
  fields.object('expected')
  const mismatches: Mismatch[] = []
  try {
    compare(fields.raw('expected'), answer(input), 'expected', toleranceOf, mismatches)
  } catch (error) {
    if (error instanceof MissingExpectation) {
      throw invalidVector(origin, error.message, `a ${kind} case states it`)
    }
    // The profile refuses the numbers themselves, e.g. a negative latency or an unusable threshold.
    if (SeamError.is(error) && error.code !== 'KVSEAM_VECTORS_INVALID') {
      throw invalidVector(origin, `case '${id}' cannot be run`, error.message, error)
    }
    throw error
  }
  return { id, kind, line: origin.line, mismatches }
}

function parse(content: string, origin: LineOrigin): unknown {
  try {
    return JSON.parse(content)
  } catch (error) {
    throw invalidVector(origin, `not valid JSON (${(error as Error).message})`, 'write one JSON object a line', error)
  }
}

/** A trace's candidates carry their scores with 4 decimals, everything else in full. */
function toleranceOf(path: string): number {
  return /\.candidates\[\d+\]\.(gfs|prs|fae)$/.test(path) ? ROUNDED_TOLERANCE : EXACT_TOLERANCE
}

function answerGfs(input: Fields): Json {
  const latencyMs = input.numbers('latency_ms')
  const dropFraction = input.numbers('drop_fraction')
  if (latencyMs.length !== dropFraction.length) {
    throw invalidVector(
      input.origin,
      `latency_ms has ${latencyMs.length} entries and drop_fraction ${dropFraction.length}`,
      'give one of each a sample',
    )
  }
  const p99 = percentile99(latencyMs.toSorted((a, b) => a - b))
  const jitter = standardDeviation(latencyMs)
  const drop = mean(dropFraction)
  const gfs = grayFailureScore(p99, jitter, drop, input.thresholds('thresholds'))
  return { gfs, p99_latency_ms: p99, jitter_ms: jitter, mean_drop_fraction: drop }
}

function answerPrsFae(input: Fields): Json {
  const demand = demandOf(input.workload('workload'))
  const thresholds = input.thresholds('thresholds')
  const severity = SEVERITY[input.state('state')]
  const active = input.count('active_sessions')
  const max = input.count('max_capacity') || PUBLISHED_THRESHOLDS.maxSessions
  const alternates = input.count('available_alternates')
  return {
    effective_criticality: demand.criticality,
    prs: propagationRisk(severity, demand.criticality, active, max, alternates),
    fae: failureAmplification(input.number('gfs'), demand, active, max, alternates, thresholds),
  }
}

function answerAdmissibility(input: Fields): Json {
  const figures = {
    state: input.state('state'),
    gfs: input.number('gfs'),
    p99Ms: input.number('p99_latency_ms'),
    jitterMs: input.number('jitter_ms'),
  }
  const demand = demandOf(input.workload('workload'))
  const prs = input.number('prs')
  const activeSessions = input.count('active_sessions')
  const maxSessions = input.count('max_capacity') || PUBLISHED_THRESHOLDS.maxSessions
  const verdict = judge(figures, demand, prs, activeSessions, maxSessions)
  const reason = verdict.reason({ figures, demand, prs, activeSessions, maxSessions })
  return { admissible: verdict.admissible, outcome: verdict.outcome, reason }
}

function answerTransition(input: Fields): Json {
  const bad = input.count('bad_windows')
  const clean = input.count('clean_windows')
  const step = nextStep(input.state('state'), input.number('gfs'), bad, clean, input.thresholds('thresholds'))
  return { state: step.state }
}

function answerSelection(input: Fields): Json {
  const policy = selectionPolicyOf(demandOf(input.workload('workload')))
  const candidates = input.objects('candidates').map((candidate) => {
    const state = candidate.state('state')
    const max = candidate.count('max_capacity') || PUBLISHED_THRESHOLDS.maxSessions
    const fraction = candidate.number('soft_capacity_fraction') || PUBLISHED_THRESHOLDS.softCapacityFraction
    const limit = softLimit(max, fraction)
    const rank = new Float64Array(RANK_KEYS)
    const path = { state, severity: SEVERITY[state], gfsRounded: roundHalfEven(candidate.number('gfs'), 4) }
    rankInto(rank, policy, path, candidate.count('active_sessions'), max, limit)
    return { id: candidate.text('pool_id'), limit, rank }
  })
  return {
    policy,
    soft_limits: candidates.map((candidate) => candidate.limit),
    selection_vectors: candidates.map(({ rank }) => Array.from(rank.subarray(0, rankLength(policy)))),
    order: candidates.toSorted((a, b) => compareRanks(a.rank, b.rank)).map((candidate) => candidate.id),
  }
}
