// What a caller asks of the policy, checked and put into the policy's own terms.

import { object, refuse, text, texts, wholeNumber } from './check.js'
import { didYouMean } from './did-you-mean.js'
import { SeamError } from './errors.js'
import type { Path } from './paths.js'
import type { PolicyRequest } from './policy/policy.js'
import type { WorkloadProfile } from './policy/workload.js'

/** Leases outlive their request's deadline by this much, so that a late settle still finds its lease. */
const LEASE_GRACE_US = 2_000_000
const LONGEST_MS = 86_400_000

export interface DecideRequest {
  /** Name of a workload class of the seam, or a profile of its own. */
  readonly workload: string | WorkloadProfile
  readonly bytes: number
  /** Name of the agent that has the blocks. */
  readonly from: string
  /** Agents that could take them; every connected one unless told. */
  readonly to?: readonly string[] | undefined
  /** From now; the seam's default unless told. */
  readonly deadlineMs?: number | undefined
  readonly requestId?: string | undefined
  /** Path ids that must not be used, e.g. one that has just failed. */
  readonly exclude?: readonly string[] | undefined
  /** What computing the blocks again at the destination would take; then `recompute_locally` may be the answer. */
  readonly recomputeMs?: number | undefined
  /** When nothing can take it now, wait in line instead of being rejected; the answer comes by `decision.answer`. */
  readonly queue?: boolean | undefined
  /** How often these bytes were tried before; above 0 the retry budget pays. */
  readonly attempt?: number | undefined
}

export interface DecideDefaults {
  readonly workloads: ReadonlyMap<string, WorkloadProfile>
  readonly deadlineMs: number
}

/**
 * @param paths all that start at `request.from`, in registration order
 * @throws KVSEAM_NO_PATH, KVSEAM_UNKNOWN_WORKLOAD, KVSEAM_INVALID_ARGUMENT, KVSEAM_OUT_OF_BOUNDS
 */
export function policyRequest(
  request: DecideRequest,
  paths: readonly Path[],
  defaults: DecideDefaults,
  nowUs: number,
  seq: number,
): PolicyRequest {
  const bytes = wholeNumber('bytes', request.bytes)
  const { from, to, exclude, requestId } = request
  text('from', from)
  if (requestId !== undefined) text('requestId', requestId)
  if (to !== undefined) texts('to', to)
  if (exclude !== undefined) texts('exclude', exclude)
  const spanUs = Math.round(span('deadlineMs', request.deadlineMs ?? defaults.deadlineMs) * 1000)
  return {
    requestId: request.requestId ?? null,
    workload: knownWorkload(request.workload, defaults.workloads),
    bytes,
    deadlineUs: nowUs + spanUs,
    candidates: candidates(request, paths),
    leaseUs: spanUs + LEASE_GRACE_US,
    attempt: wholeNumber('attempt', request.attempt ?? 0),
    recomputeUs: request.recomputeMs === undefined ? null : Math.round(span('recomputeMs', request.recomputeMs) * 1000),
    mayQueue: request.queue === true,
    seq,
  }
}

function span(field: string, value: unknown): number {
  if (typeof value === 'number' && value > 0 && value <= LONGEST_MS) return value
  throw refuse('KVSEAM_OUT_OF_BOUNDS', field, value, `it must be above 0 and at most ${LONGEST_MS}`)
}

function knownWorkload(
  workload: string | WorkloadProfile,
  workloads: ReadonlyMap<string, WorkloadProfile>,
): WorkloadProfile {
  if (typeof workload !== 'string') {
    object('workload', workload, 'it must be the name of a class or a workload profile')
    text('workload.name', workload.name)
    return workload
  }
  const known = workloads.get(workload)
  if (known !== undefined) return known
  const names = [...workloads.keys()]
  throw new SeamError(
    'KVSEAM_UNKNOWN_WORKLOAD',
    { workload, known: names },
    `workload ${JSON.stringify(workload)} is not known${didYouMean(workload, names)}; known are ${names.join(', ')}, others go into openSeam({ workloads })`,
  )
}

function candidates({ from, to, exclude }: DecideRequest, paths: readonly Path[]): number[] {
  const indices: number[] = []
  for (const path of paths) {
    if (to !== undefined && !to.includes(path.to)) continue
    if (exclude?.includes(path.id) === true || !path.usable) continue
    indices.push(path.policyIndex)
  }
  if (indices.length > 0) return indices
  throw new SeamError(
    'KVSEAM_NO_PATH',
    { from, to: to ?? null, exclude: exclude ?? [] },
    `no usable path leads from '${from}' to ${to === undefined ? 'any agent' : to.join(', ')}; connect the agents, or exclude less`,
  )
}
