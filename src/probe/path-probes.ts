// Measures paths for the orchestrator, asked for or in the background: leave, series, report, record, evidence.

import { SeamError } from '../errors.js'
import { binding, PROBE_KIND, PROBE_PERMIT } from '../native/binding.js'
import type { Path } from '../paths.js'
import type { ProbeDue } from '../policy/policy.js'
import type { ProbeScheduleRules } from '../policy/probe-schedule.js'
import type { ProbeCause } from '../record/probe-record.js'
import { type BackgroundCounters, BackgroundProbes } from './background-probes.js'
import { flowsAlong, type ProbeSample, samplesOf } from './evidence.js'
import { type CheckedProbe, checkProbe, type ProbeOptions } from './probe-options.js'
import { type ProbeReport, probeReport } from './probe-report.js'

export interface PathProbesSetup {
  readonly gate: number
  readonly permitTtlMs: number
  /** Undefined: nothing is probed in the background. */
  readonly rules: ProbeScheduleRules | undefined
  readonly profile: string
  readonly clockUs: () => number
  readonly faulted: () => boolean
  /** False once the seam is closed: then nothing is recorded or learnt any more. */
  readonly open: () => boolean
  readonly record: (report: ProbeReport, cause: ProbeCause, observed: boolean) => void
  readonly observe: (path: Path, bytes: number, sample: ProbeSample) => void
}

export class PathProbes {
  readonly #setup: PathProbesSetup
  readonly #background: BackgroundProbes | undefined
  /** Probes that the policy asked for while it judged; run at the next tick, off the path of a decision. */
  #wanted: ProbeDue[] = []

  constructor(setup: PathProbesSetup) {
    this.#setup = setup
    if (setup.rules === undefined) return
    this.#background = new BackgroundProbes({
      rules: setup.rules,
      scheduled: setup.profile === 'reference',
      clockUs: setup.clockUs,
      run: (path, asked, cause) => this.run(path, asked, cause),
    })
  }

  /** Null when nothing is probed in the background. */
  get counters(): BackgroundCounters | null {
    return this.#background?.counters ?? null
  }

  add(path: Path, nowUs: number): void {
    this.#background?.add(path, nowUs)
  }

  payload(path: Path, nowUs: number): void {
    this.#background?.payload(path, nowUs)
  }

  want(due: readonly ProbeDue[]): void {
    if (this.#background !== undefined && due.length > 0) this.#wanted.push(...due)
  }

  tick(pathOf: (index: number) => Path, nowUs: number): void {
    const wanted = this.#wanted
    if (wanted.length > 0) this.#wanted = []
    this.#background?.tick(wanted, pathOf, nowUs)
  }

  /** @throws as `path.probe()` */
  async run(path: Path, options: ProbeOptions, cause: ProbeCause): Promise<ProbeReport> {
    const setup = this.#setup
    const asked = checkProbe(options)
    asked.signal?.throwIfAborted()
    const order = {
      permit: this.#mint(path, asked),
      path: path.nativeIndex,
      kind: PROBE_KIND[asked.kind],
      inbound: path.mode === 'pull',
      bytes: asked.bytes,
      count: asked.count,
      window: asked.window,
      timeoutNs: Math.ceil(asked.timeoutMs * 1e6),
      totalNs: Math.ceil(asked.totalMs * 1e6),
    }
    let series: ReturnType<typeof path.agent.probes.start>
    try {
      series = path.agent.probes.start(order)
    } catch (error) {
      if (setup.open()) binding().revoke(setup.gate, order.permit)
      throw error
    }
    asked.signal?.addEventListener('abort', series.cancel, { once: true })
    const faulted = setup.faulted()
    const end = await series.ended.finally(() => asked.signal?.removeEventListener('abort', series.cancel))
    if (SeamError.is(end.error, 'KVSEAM_CLOSED')) throw end.error
    if (asked.signal?.aborted === true && SeamError.is(end.error, 'KVSEAM_CANCELLED')) throw asked.signal.reason
    const report = probeReport({ path: path.id, label: path.label, faulted }, asked, end)
    path.keep(report)
    if (!setup.open()) return report
    const observed = flowsAlong(path.mode, asked.kind) && (asked.observe ?? this.#trusts(cause))
    setup.record(report, cause, observed)
    if (!observed) return report
    for (const sample of samplesOf(asked, end)) setup.observe(path, asked.bytes, sample)
    return report
  }

  /**
   * The published rules score raw milliseconds, so a probe would hide what payloads suffer. A path that they have isolated
   * carries none, and without evidence stays isolated for ever: there, and only there, a background probe counts.
   */
  #trusts(cause: ProbeCause): boolean {
    return this.#setup.profile !== 'reference' || cause === 'verify' || cause === 'recover'
  }

  #mint(path: Path, { bytes, count }: CheckedProbe): number {
    const { gate, permitTtlMs } = this.#setup
    // One more than the count: memory that was never touched is warmed up first.
    return binding().mint(gate, path.key, PROBE_PERMIT, bytes * (count + 1), permitTtlMs * 1e6)
  }
}
