// What every baseline shares: leases, sessions and bytes in flight of each path. A baseline adds how it chooses and learns.

import { SeamError } from '../../errors.js'
import {
  type DecisionDetail,
  NOTHING_HAPPENED,
  type PathDescription,
  type PathSnapshot,
  type PathState,
  type Policy,
  type PolicyDecision,
  type PolicyRequest,
  type Sample,
  type TickResult,
  type Transition,
} from '../../policy/policy.js'

/** What a baseline may know of a path. */
export interface KnownPath {
  readonly index: number
  readonly description: PathDescription
  sessions: number
  bytes: number
}

interface BaselineLease {
  readonly path: number
  readonly bytes: number
}

export abstract class Baseline implements Policy {
  abstract readonly profile: string
  readonly configHash = ''
  protected readonly paths: KnownPath[] = []
  readonly #leases = new Map<number, BaselineLease>()
  #lastLease = 0

  /** One of `open`, which are never empty: candidates with a free session. Null rejects. */
  protected abstract choose(open: readonly KnownPath[], request: PolicyRequest, nowUs: number): KnownPath | null

  /** What it learns from an outcome that is charged to the path. */
  protected learn(_path: KnownPath, _sample: Sample, _failed: boolean, _nowUs: number): void {}

  /** Healthy unless a baseline has an opinion; only `quarantined` is ever said besides. */
  protected stateOf(_path: KnownPath): PathState {
    return 'healthy'
  }

  /** The lease that the choice being made will get. */
  protected get nextLease(): number {
    return this.#lastLease + 1
  }

  addPath(description: PathDescription, _nowUs: number): number {
    const index = this.paths.length
    this.paths.push({ index, description, sessions: 0, bytes: 0 })
    return index
  }

  observe(sample: Sample, nowUs: number): readonly Transition[] {
    const path = this.paths[sample.path]!
    const failed = ['timeout', 'transport', 'corrupt', 'link_down'].includes(sample.outcome)
    if (!failed && sample.outcome !== 'ok') return []
    const from = this.stateOf(path)
    this.learn(path, sample, failed, nowUs)
    const to = this.stateOf(path)
    return from === to ? [] : [{ path: path.index, from, to, cause: sample.outcome, figures: {} }]
  }

  decide(request: PolicyRequest, nowUs: number): PolicyDecision {
    const open = request.candidates
      .map((index) => this.paths[index]!)
      .filter((path) => path.sessions < path.description.maxSessions)
    const path = open.length === 0 ? null : this.choose(open, request, nowUs)
    if (path === null) return answer(-1, 0)
    const leaseId = ++this.#lastLease
    this.#leases.set(leaseId, { path: path.index, bytes: request.bytes })
    path.sessions++
    path.bytes += request.bytes
    return answer(path.index, leaseId)
  }

  release(leaseId: number, _nowUs: number): boolean {
    const lease = this.#leases.get(leaseId)
    if (lease === undefined) return false
    this.#leases.delete(leaseId)
    const path = this.paths[lease.path]!
    path.sessions--
    path.bytes -= lease.bytes
    return true
  }

  tick(_nowUs: number): TickResult {
    return NOTHING_HAPPENED
  }

  nextTickUs(): number {
    return Number.POSITIVE_INFINITY
  }

  start(leaseId: number, _nowUs: number): boolean {
    return this.#leases.has(leaseId)
  }

  withdraw(): boolean {
    return false
  }

  explain(): PolicyDecision {
    throw this.#unsupported('explain')
  }

  pin(): readonly Transition[] {
    throw this.#unsupported('pin')
  }

  configure(): void {
    throw this.#unsupported('configure')
  }

  snapshot(index: number): PathSnapshot {
    const path = this.paths[index]!
    const { id, pool, maxSessions } = path.description
    const unmeasured = { gfs: 0, p99Ms: 0, jitterMs: 0, dropFraction: 0, samples: 0 }
    return { id, pool, state: this.stateOf(path), ...unmeasured, activeSessions: path.sessions, maxSessions }
  }

  #unsupported(operation: string): SeamError {
    return new SeamError(
      'KVSEAM_NOT_SUPPORTED',
      { profile: this.profile, operation },
      `${this.profile} is a baseline of the simulator and has no ${operation}; use profile 'default'`,
    )
  }
}

function answer(path: number, leaseId: number): PolicyDecision {
  const admitted = path >= 0
  const outcome = admitted ? 'admitted' : 'rejected'
  const detail = (): DecisionDetail => ({
    outcome,
    reason: 'baseline',
    selectionPolicy: 'baseline',
    chosen: null,
    candidates: [],
    flips: [],
    panic: false,
    pressure: null,
  })
  return { verdict: outcome, outcome, path, leaseId, ticket: 0, retryAfterUs: null, detail }
}

/** The least by a figure; the first of equals. `paths` is not empty. */
export function least(paths: readonly KnownPath[], figure: (path: KnownPath) => number): KnownPath {
  let best = paths[0]!
  let bestFigure = figure(best)
  for (const path of paths) {
    const here = figure(path)
    if (here >= bestFigure) continue
    best = path
    bestFigure = here
  }
  return best
}
