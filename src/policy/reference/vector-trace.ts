// Runs a `trace` vector through the profile itself, so that what is checked is what ships: samples go in by observe(),
// routes by decide(), and session counts are leases. Only `set_active_sessions` reaches past the Policy interface, to
// take and release leases of the same book.

import type { CandidateRecord, Sample } from '../policy.js'
import { LeaseBook } from './leases.js'
import { ReferencePolicy } from './profile.js'
import type { Json } from './vector-comparison.js'
import { type Fields, invalidVector } from './vector-fields.js'

/** Longer than any trace: a vector's session ends by `release` only. */
const TRACE_LEASE_US = 1e12

interface TracePath {
  readonly index: number
  /** Live leases, newest last. */
  readonly leases: number[]
}

export function runTrace(input: Fields): readonly Json[] {
  const book = new LeaseBook()
  const policy = new ReferencePolicy({ thresholds: input.thresholds('thresholds') }, book)
  const paths = new Map<string, TracePath>()
  for (const pool of input.objects('pools')) {
    const id = pool.text('pool_id')
    const description = {
      id,
      pool: id,
      maxSessions: pool.count('max_capacity'),
      softCapacityFraction: pool.number('soft_capacity_fraction'),
      riskGroups: [],
    }
    paths.set(id, { index: policy.addPath(description, 0), leases: [] })
  }
  return input.objects('steps').map((step, nowUs) => runStep(step, nowUs, policy, book, paths))
}

function runStep(
  step: Fields,
  nowUs: number,
  policy: ReferencePolicy,
  book: LeaseBook,
  paths: ReadonlyMap<string, TracePath>,
): Json {
  const op = step.text('op')
  switch (op) {
    case 'transfer': {
      const { index } = pathOf(step, paths)
      policy.observe(sampleOf(step, index), nowUs)
      const { state, gfs, badWindows, cleanWindows } = policy.snapshot(index)
      return { state, gfs, bad_windows: badWindows, clean_windows: cleanWindows }
    }
    case 'route':
      return runRoute(step, nowUs, policy, paths)
    case 'release': {
      const path = pathOf(step, paths)
      const lease = path.leases.pop()
      if (lease !== undefined) policy.release(lease, nowUs)
      return { active_sessions: policy.snapshot(path.index).activeSessions }
    }
    case 'set_active_sessions': {
      const path = pathOf(step, paths)
      const wanted = step.count('active_sessions')
      while (path.leases.length > wanted) policy.release(path.leases.pop()!, nowUs)
      while (path.leases.length < wanted) path.leases.push(book.take(path.index, nowUs + TRACE_LEASE_US))
      return { active_sessions: policy.snapshot(path.index).activeSessions }
    }
    default:
      throw invalidVector(
        step.origin,
        `unknown trace op '${op}'`,
        'use transfer, route, release or set_active_sessions',
      )
  }
}

function runRoute(step: Fields, nowUs: number, policy: ReferencePolicy, paths: ReadonlyMap<string, TracePath>): Json {
  const decision = policy.decide(
    {
      requestId: null,
      workload: step.workload('workload'),
      bytes: 0,
      deadlineUs: null,
      candidates: Array.from(paths.values(), (path) => path.index),
      leaseUs: TRACE_LEASE_US,
      attempt: 0,
      recomputeUs: null,
      mayQueue: false,
      seq: 0,
    },
    nowUs,
  )
  const { chosen, outcome, reason, candidates } = decision.detail()
  if (chosen !== null) paths.get(chosen)!.leases.push(decision.leaseId)
  return { chosen_pool_id: chosen, outcome, reason, candidates: candidates.map(publishedCandidate) }
}

function publishedCandidate(record: CandidateRecord): Json {
  return {
    pool_id: record.path,
    state: record.state,
    gfs: record.gfs,
    prs: record.prs,
    fae: record.fae,
    admissible: record.admissible,
    primary_reason: record.reason,
    p99_latency_ms: record.p99Ms,
    jitter_ms: record.jitterMs,
    active_sessions: record.activeSessions,
    available_alternates: record.availableAlternates,
    chosen: record.chosen,
  }
}

function sampleOf(step: Fields, path: number): Sample {
  const latencyMs = step.number('latency_ms')
  const dropFraction = step.number('drop_fraction')
  const wholeUs = Math.round(latencyMs * 1000)
  return {
    path,
    leaseId: 0,
    outcome: dropFraction === 1 ? 'transport' : 'ok',
    // Vectors give whole microseconds in milliseconds; times 1000 alone would add a rounding error.
    totalUs: wholeUs / 1000 === latencyMs ? wholeUs : latencyMs * 1000,
    bytes: step.count('bytes_moved'),
    dropFraction,
    source: 'transfer',
    selfDelayed: false,
  }
}

function pathOf(step: Fields, paths: ReadonlyMap<string, TracePath>): TracePath {
  const id = step.text('pool_id')
  const path = paths.get(id)
  if (path === undefined) throw invalidVector(step.origin, `pool '${id}' is not in pools`, 'name a pool of this trace')
  return path
}
