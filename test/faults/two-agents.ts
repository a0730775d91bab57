// Two agents of one seam for the tests of faults: prefill-0 has the blocks, decode-0 pulls them, over two rails.

import { onTestFinished } from 'vitest'
import { type DecideRequest, openSeam, type Region, type Seam, SeamError, type SeamOptions } from '../../src/index.js'
import type { Agent, AgentOptions } from '../../src/native/agent.js'
import type { Transfer } from '../../src/native/transfer.js'
import { permitNumber } from '../../src/permit.js'
import { backendOptions } from '../backend.js'

export const BLOCK = 4096
export const BLOCKS = 16

export interface TwoAgents {
  readonly seam: Seam
  readonly prefill: Agent
  readonly decode: Agent
  readonly source: Region
  readonly target: Region
}

export async function twoAgents(
  options: SeamOptions = {},
  agentOptions: AgentOptions = {},
  blocks = BLOCKS,
): Promise<TwoAgents> {
  const seam = await openSeam({ ...backendOptions, profile: 'reference', sessionsPerPath: 10_000, ...options })
  onTestFinished(() => seam.close())
  const prefill = await seam.agent('prefill-0', agentOptions)
  const decode = await seam.agent('decode-0', agentOptions)
  const source = prefill.allocate(blocks * BLOCK, { name: 'kv' })
  const target = decode.allocate(blocks * BLOCK, { name: 'kv' })
  source.view().forEach((_, i, bytes) => {
    bytes[i] = (i * 7 + (i >> 8) + 1) & 255
  })
  return { seam, prefill, decode, source, target }
}

export const rail = (n: number): string => `prefill-0/rail${n}>decode-0/rail${n}`

/** One handoff of every block; `n` leaves only that rail to the policy. */
export function handOff(
  { seam, source, target }: TwoAgents,
  options: { n?: number; deadlineMs?: number; workload?: DecideRequest['workload']; signal?: AbortSignal } = {},
) {
  const { n, ...rest } = options
  return seam.handoff({
    from: source.blocks(BLOCK),
    to: target.blocks(BLOCK),
    workload: 'batch',
    ...(n === undefined ? {} : { exclude: [rail(1 - n)] }),
    ...rest,
  })
}

/**
 * An admitted transfer as an object, whose outcome the policy is not told: what is tested then is the transfer, and the
 * path stays admissible whatever happens to it. The session goes back when it has quiesced.
 */
export function post(
  { seam, source, target }: TwoAgents,
  options: {
    n?: number
    timeoutMs?: number
    blocks?: readonly number[]
    to?: readonly number[]
    workload?: string
  } = {},
): Transfer {
  const blocks = options.blocks ?? Array.from({ length: source.bytes / BLOCK }, (_, i) => i)
  const bytes = blocks.length * BLOCK
  const decision = seam.policy.decide({
    workload: options.workload ?? 'batch',
    bytes,
    from: source.agent.name,
    to: [target.agent.name],
    exclude: [rail(1 - (options.n ?? 0))],
  })
  if (decision.outcome !== 'admitted') throw new Error(`not admitted: ${decision.record.reason}`)
  const { path } = decision
  const transfer = path.agent.post({
    permit: permitNumber(decision.permit),
    path: path.nativeIndex,
    operation: path.operation,
    local: target.blocks(BLOCK, options.to ?? blocks),
    remote: source.blocks(BLOCK, blocks),
    timeoutMs: options.timeoutMs ?? 5000,
  })
  transfer.settled.catch(() => {})
  void transfer.quiesced.then(() => {
    seam.policy.releaseQuietly(decision.lease)
  })
  return transfer
}

/** The error that a promise ends with; fails the test when it ends well. */
export async function errorOf(promise: Promise<unknown>): Promise<SeamError> {
  try {
    await promise
  } catch (error) {
    if (SeamError.is(error)) return error
    throw error
  }
  throw new Error('it was expected to fail and did not')
}
