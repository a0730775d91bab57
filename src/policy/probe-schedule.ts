// Which paths are to be probed now, for profiles that do not say so themselves. Pure: no clock, no I/O; the same calls give
// the same answers. The path that has been due for longest comes first, and one that the budget cannot pay holds up those
// behind it, so that nobody waits for ever; two paths of one risk group are not measured at the same time.
//
//   state                     due
//   candidate, quarantined    proofPauseUs after the last probe, small and large in turn
//   restored, degraded        degradedIdleUs without a sample
//   unknown, healthy          idleUs without a sample; at once when there never was one
//   all but the first row     not while payload gives a sample a second; large every fourth time, or after idleLargeUs without

import type { PathState, ProbeDue } from './policy.js'
import { ProbeBudget, type ProbeBudgetLimits } from './probe-budget.js'

export interface ProbeScheduleRules extends ProbeBudgetLimits {
  readonly idleUs: number
  readonly idleLargeUs: number
  readonly degradedIdleUs: number
  readonly proofPauseUs: number
  readonly smallBytes: number
  readonly largeBytes: number
  readonly timeoutUs: number
}

export const PROBE_RULES: ProbeScheduleRules = Object.freeze({
  probesPerSecond: 20,
  byteShare: 0.005,
  burstProbes: 4,
  burstBytes: 2 * 4_194_304,
  idleUs: 5_000_000,
  idleLargeUs: 60_000_000,
  degradedIdleUs: 1_000_000,
  proofPauseUs: 200_000,
  smallBytes: 65_536,
  largeBytes: 4_194_304,
  timeoutUs: 500_000,
})

/** A path with payload samples closer together than this is measured well enough by them. */
const PAYLOAD_GAP_US = 1_000_000
const LARGE_EVERY = 4

/** A path as the schedule sees it; times are microseconds, -1 for never. */
interface Entry {
  readonly source: Source
  readonly groups: readonly string[]
  readonly addedUs: number
  payloadUs: number
  probedUs: number
  largeUs: number
  sent: number
  warmBytes: number
  /** Until then its last probe may still be out. */
  busyUntilUs: number
}

interface Source {
  readonly budget: ProbeBudget
  /** Risk groups being measured, with when that is over at the latest. */
  readonly busy: Map<string, number>
}

export class ProbeSchedule {
  readonly #rules: ProbeScheduleRules
  readonly #sources = new Map<string, Source>()
  readonly #paths: Entry[] = []

  constructor(rules: ProbeScheduleRules = PROBE_RULES) {
    this.#rules = rules
  }

  /**
   * Paths are numbered in the order of these calls, from 0.
   * @param nominalBytesPerSecond of the whole source; counts when the source is first named
   */
  addPath(source: string, riskGroups: readonly string[], nominalBytesPerSecond: number, nowUs: number): void {
    let owner = this.#sources.get(source)
    if (owner === undefined) {
      owner = { budget: new ProbeBudget(this.#rules, nominalBytesPerSecond), busy: new Map() }
      this.#sources.set(source, owner)
    }
    this.#paths.push({
      source: owner,
      groups: riskGroups,
      addedUs: nowUs,
      payloadUs: -1,
      probedUs: -1,
      largeUs: nowUs,
      sent: 0,
      warmBytes: 0,
      busyUntilUs: 0,
    })
  }

  /** A payload transfer on the path ended, however it did. */
  payload(path: number, nowUs: number): void {
    this.#paths[path]!.payloadUs = nowUs
  }

  /** The probe that was asked for is over, however it ended. Without this its time-out frees the path. */
  probed(path: number, nowUs: number): void {
    const entry = this.#paths[path]!
    entry.probedUs = nowUs
    entry.busyUntilUs = nowUs
    for (const group of entry.groups) entry.source.busy.delete(group)
  }

  /** What is to be probed now; each is paid for and taken as begun. `stateOf` gives null for a path that cannot be used. */
  due(stateOf: (path: number) => PathState | null, nowUs: number): ProbeDue[] {
    const waiting: { path: number; dueUs: number; state: PathState }[] = []
    for (const [path, entry] of this.#paths.entries()) {
      if (entry.busyUntilUs > nowUs) continue
      const state = stateOf(path)
      if (state === null) continue
      const dueUs = this.#dueUs(entry, state, nowUs)
      if (dueUs <= nowUs) waiting.push({ path, dueUs, state })
    }
    waiting.sort((a, b) => a.dueUs - b.dueUs || a.path - b.path)
    const broke = new Set<Source>()
    const out: ProbeDue[] = []
    for (const { path, state } of waiting) {
      const entry = this.#paths[path]!
      const { source, groups } = entry
      if (broke.has(source) || groups.some((group) => (source.busy.get(group) ?? 0) > nowUs)) continue
      const bytes = this.#bytes(entry, state, nowUs)
      // The first probe of a size moves its bytes twice: memory that was never touched is warmed up first.
      if (!source.budget.pay(bytes > entry.warmBytes ? 2 * bytes : bytes, nowUs)) {
        broke.add(source)
        continue
      }
      entry.sent++
      entry.probedUs = nowUs
      entry.warmBytes = Math.max(entry.warmBytes, bytes)
      if (bytes === this.#rules.largeBytes) entry.largeUs = nowUs
      entry.busyUntilUs = nowUs + 2 * this.#rules.timeoutUs
      for (const group of groups) source.busy.set(group, entry.busyUntilUs)
      out.push({ path, bytes, timeoutUs: this.#rules.timeoutUs, reason: reasonOf(state) })
    }
    return out
  }

  #dueUs(entry: Entry, state: PathState, nowUs: number): number {
    const { proofPauseUs, degradedIdleUs, idleUs } = this.#rules
    const neverUs = entry.addedUs
    if (isIsolated(state)) return entry.probedUs < 0 ? neverUs : entry.probedUs + proofPauseUs
    if (entry.payloadUs >= 0 && nowUs - entry.payloadUs < PAYLOAD_GAP_US) return Number.POSITIVE_INFINITY
    const lastUs = Math.max(entry.payloadUs, entry.probedUs)
    if (lastUs < 0) return neverUs
    return lastUs + (state === 'healthy' || state === 'unknown' ? idleUs : degradedIdleUs)
  }

  #bytes(entry: Entry, state: PathState, nowUs: number): number {
    const { smallBytes, largeBytes, idleLargeUs } = this.#rules
    const large = isIsolated(state)
      ? entry.sent % 2 === 1
      : entry.sent % LARGE_EVERY === LARGE_EVERY - 1 || nowUs - entry.largeUs > idleLargeUs
    // A budget too small for a large one ever is spent on small ones rather than waited for.
    return large && entry.source.budget.couldPay(2 * largeBytes) ? largeBytes : smallBytes
  }
}

function isIsolated(state: PathState): boolean {
  return state === 'quarantine_candidate' || state === 'quarantined'
}

function reasonOf(state: PathState): ProbeDue['reason'] {
  switch (state) {
    case 'quarantine_candidate':
      return 'verify'
    case 'quarantined':
      return 'recover'
    case 'restored':
      return 'canary'
    case 'unknown':
      return 'unknown'
    default:
      return 'idle'
  }
}
