// One series of probes in the record log, schema `kvseam.probe/1`.

import type { ProbeReport } from '../probe/probe-report.js'
import type { RecordContext } from './decision-record.js'

const PROBE_SCHEMA = 'kvseam.probe/1'

/** Who wanted it: somebody who called `path.probe()`, or the background and why. */
export type ProbeCause = 'asked' | 'unknown' | 'idle' | 'verify' | 'recover' | 'canary'

export interface ProbeRecord extends ProbeReport {
  readonly schema: typeof PROBE_SCHEMA
  readonly seq: number
  /** Orchestrator's clock at the end of the series, microseconds. */
  readonly tUs: number
  readonly epoch: string
  readonly cause: ProbeCause
  /** The policy took the samples for evidence. */
  readonly observed: boolean
}

export function probeRecord(
  context: RecordContext,
  report: ProbeReport,
  cause: ProbeCause,
  observed: boolean,
): ProbeRecord {
  const { seq, tUs, epoch } = context
  return { schema: PROBE_SCHEMA, seq, tUs, epoch, cause, observed, ...report }
}
