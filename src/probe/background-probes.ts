// Probes that nobody asked for: what the policy or the schedule finds due is run, within the budget of its source agent.

import type { Path } from '../paths.js'
import type { ProbeDue } from '../policy/policy.js'
import { ProbeBudget } from '../policy/probe-budget.js'
import { ProbeSchedule, type ProbeScheduleRules } from '../policy/probe-schedule.js'
import type { ProbeCause } from '../record/probe-record.js'
import type { ProbeOptions } from './probe-options.js'

export interface BackgroundSetup {
  readonly rules: ProbeScheduleRules
  /** The profile names no probes itself, so the schedule does. */
  readonly scheduled: boolean
  readonly clockUs: () => number
  readonly run: (path: Path, options: ProbeOptions, cause: ProbeCause) => Promise<unknown>
}

export interface BackgroundCounters {
  readonly started: number
  /** Wanted by the policy, and not within the budget of their source. */
  readonly skipped: number
  /** Could not be run: the path, the agent or the peer was gone. */
  readonly failed: number
}

/** Rate taken for a source whose rails have none of their own: 10 Gbit/s, low for a KV fabric and so on the safe side. */
const ASSUMED_BYTES_PER_SECOND = 1_250_000_000

export class BackgroundProbes {
  readonly #setup: BackgroundSetup
  readonly #schedule: ProbeSchedule | undefined
  readonly #paths: Path[] = []
  readonly #placeOf = new Map<Path, number>()
  readonly #budgets = new Map<string, ProbeBudget>()
  #started = 0
  #skipped = 0
  #failed = 0

  constructor(setup: BackgroundSetup) {
    this.#setup = setup
    this.#schedule = setup.scheduled ? new ProbeSchedule(setup.rules) : undefined
  }

  get counters(): BackgroundCounters {
    return { started: this.#started, skipped: this.#skipped, failed: this.#failed }
  }

  add(path: Path, nowUs: number): void {
    const nominal = path.sourceBytesPerSecond || ASSUMED_BYTES_PER_SECOND
    this.#placeOf.set(path, this.#paths.push(path) - 1)
    this.#schedule?.addPath(path.from, path.riskGroups, nominal, nowUs)
    if (this.#schedule === undefined && !this.#budgets.has(path.from)) {
      this.#budgets.set(path.from, new ProbeBudget(this.#setup.rules, nominal))
    }
  }

  /** A payload transfer ended; a path that carries enough of them is not probed. */
  payload(path: Path, nowUs: number): void {
    const place = this.#placeOf.get(path)
    if (place !== undefined) this.#schedule?.payload(place, nowUs)
  }

  /** @param wanted what the policy asks for, with its own numbers of paths resolved by `pathOf` */
  tick(wanted: readonly ProbeDue[], pathOf: (index: number) => Path, nowUs: number): void {
    if (this.#schedule !== undefined) {
      const stateOf = (place: number) => (this.#paths[place]!.usable ? this.#paths[place]!.state : null)
      for (const due of this.#schedule.due(stateOf, nowUs)) this.#run(this.#paths[due.path]!, due, due.path)
      return
    }
    for (const due of wanted) {
      const path = pathOf(due.path)
      if (!path.usable) continue
      if (this.#budgets.get(path.from)!.pay(due.bytes, nowUs)) this.#run(path, due, undefined)
      else this.#skipped++
    }
  }

  #run(path: Path, due: ProbeDue, place: number | undefined): void {
    this.#started++
    const kind = path.mode === 'pull' ? 'read' : 'write'
    this.#setup
      .run(path, { kind, bytes: due.bytes, count: 1, timeoutMs: due.timeoutUs / 1000 }, due.reason)
      .catch(() => {
        this.#failed++
      })
      .finally(() => {
        if (place !== undefined) this.#schedule?.probed(place, this.#setup.clockUs())
      })
  }
}
