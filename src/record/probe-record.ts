// One series of probes in the record log, schema `kvseam.probe/1`.

import type { ProbeReport } from '../probe/probe-report.js'
import type { EventHead } from './event-records.js'

/** Who wanted it: somebody who called `path.probe()`, or the background and why. */
export type ProbeCause = 'asked' | 'unknown' | 'idle' | 'verify' | 'recover' | 'canary'

/** Told to the log, not to the policy, which has the observed samples one by one. `tUs` is the end of the series. */
export interface ProbeRecord extends EventHead, ProbeReport {
  readonly schema: 'kvseam.probe/1'
  readonly cause: ProbeCause
  /** The policy took the samples for evidence. */
  readonly observed: boolean
}
