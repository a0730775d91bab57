// What all probes of one kind on a path have shown so far, as the addon keeps it: apart from payloads.

import type { NativeProbeFigures } from '../native/binding.js'
import { LatencySnapshot } from '../native/latency.js'

export class ProbeLatency extends LatencySnapshot {
  /** Operations that failed; they are not in the percentiles. */
  readonly failed: number
  /** Operations that succeeded while this process was stalled; left out. */
  readonly selfDelayed: number
  /** Bytes that the samples moved. */
  readonly bytes: number
  /** Since the newest sample, milliseconds; null without one. */
  readonly ageMs: number | null
  /** Smoothed difference between neighbouring samples: j += (|D| - j) / 16, as in RFC 3550. */
  readonly jitterNs: number

  /** @param raw as the addon's `probeFigures` wrote it */
  constructor(raw: Float64Array, figures: NativeProbeFigures) {
    super(raw)
    this.failed = figures.failed
    this.selfDelayed = figures.selfDelayed
    this.bytes = figures.bytes
    this.ageMs = figures.ageNs === null ? null : figures.ageNs / 1e6
    this.jitterNs = figures.jitterNs
  }
}
