// One probe from the asking to the evidence: leave, series, report, record, samples for the policy.

import { SeamError } from '../errors.js'
import { binding, PROBE_KIND, PROBE_PERMIT } from '../native/binding.js'
import type { Observation } from '../orchestrator.js'
import type { Path } from '../paths.js'
import type { ProbeCause } from '../record/probe-record.js'
import { flowsAlong, samplesOf } from './evidence.js'
import { checkProbe, type ProbeOptions } from './probe-options.js'
import { type ProbeReport, probeReport } from './probe-report.js'

/** What a prober uses of the orchestrator. */
export interface ProberTies {
  readonly gate: number
  readonly permitTtlMs: number
  readonly profile: string
  readonly faulted: () => boolean
  /** Throws KVSEAM_CLOSED. */
  readonly assertOpen: () => void
  readonly isOpen: () => boolean
  readonly record: (report: ProbeReport, cause: ProbeCause, observed: boolean) => void
  readonly observe: (observation: Observation) => void
}

export class PathProber {
  readonly #ties: ProberTies

  constructor(ties: ProberTies) {
    this.#ties = ties
  }

  /** @throws as `path.probe()` says */
  async probe(path: Path, options: ProbeOptions, cause: ProbeCause): Promise<ProbeReport> {
    const asked = checkProbe(options)
    asked.signal?.throwIfAborted()
    const { gate, permitTtlMs, faulted, assertOpen, isOpen, record, observe } = this.#ties
    assertOpen()
    // One more than the count: memory that was never touched is warmed up first.
    const permit = binding().mint(gate, path.key, PROBE_PERMIT, asked.bytes * (asked.count + 1), permitTtlMs * 1e6)
    let series: ReturnType<typeof path.agent.probes.start>
    try {
      series = path.agent.probes.start({
        permit,
        path: path.nativeIndex,
        kind: PROBE_KIND[asked.kind],
        inbound: path.mode === 'pull',
        bytes: asked.bytes,
        count: asked.count,
        window: asked.window,
        timeoutNs: Math.ceil(asked.timeoutMs * 1e6),
        totalNs: Math.ceil(asked.totalMs * 1e6),
      })
    } catch (error) {
      binding().revoke(gate, permit)
      throw error
    }
    const wasFaulted = faulted()
    asked.signal?.addEventListener('abort', series.cancel, { once: true })
    const end = await series.ended.finally(() => asked.signal?.removeEventListener('abort', series.cancel))
    if (SeamError.is(end.error, 'KVSEAM_CLOSED')) throw end.error
    if (asked.signal?.aborted === true && SeamError.is(end.error, 'KVSEAM_CANCELLED')) throw asked.signal.reason
    const report = probeReport({ path: path.id, label: path.label, faulted: wasFaulted }, asked, end)
    path.keep(report)
    if (!isOpen()) return report
    const observed = flowsAlong(path.mode, asked.kind) && (asked.observe ?? this.#trusts(cause))
    record(report, cause, observed)
    if (observed) {
      for (const sample of samplesOf(asked, end)) {
        observe({ path: path.id, bytes: asked.bytes, source: 'probe', ...sample })
      }
    }
    return report
  }

  /**
   * The published rules score raw milliseconds, so a probe would hide what payloads suffer. A path that they have isolated
   * carries none, and without evidence stays isolated for ever: there, and only there, a background probe counts.
   */
  #trusts(cause: ProbeCause): boolean {
    return this.#ties.profile !== 'reference' || cause === 'verify' || cause === 'recover'
  }
}
