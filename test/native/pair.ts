// Two connected agents with a region each, which most tests of the data plane start from. Closed when the test ends.

import { onTestFinished } from 'vitest'
import type { DecideRequest } from '../../src/decide-request.js'
import type { Admitted } from '../../src/decision.js'
import type { AgentOptions } from '../../src/native/agent.js'
import type { Descriptors } from '../../src/native/descriptors.js'
import type { Transfer } from '../../src/native/transfer.js'
import { permitNumber } from '../../src/permit.js'
import { openSeam, type Seam, type SeamOptions } from '../../src/seam.js'
import { backendOptions } from '../backend.js'

export const PREFILL = 'prefill-0'
export const DECODE = 'decode-0'
/** Far beyond anything a loaded machine under a sanitizer needs; a test that reaches it has failed. */
export const PATIENCE_MS = 20_000

export async function openFor(options: SeamOptions = {}): Promise<Seam> {
  // The published rules: what these tests expect of a decision does not move with the default profile.
  const seam = await openSeam({
    ...backendOptions,
    profile: 'reference',
    deadlineMs: PATIENCE_MS,
    permitTtlMs: PATIENCE_MS,
    ...options,
  })
  onTestFinished(async () => await seam.close())
  return seam
}

export async function openPair({
  bytes = 1 << 20,
  ...options
}: SeamOptions & { readonly bytes?: number; readonly agents?: AgentOptions } = {}) {
  const { agents = {}, ...seamOptions } = options
  const seam = await openFor(seamOptions)
  const prefill = await seam.agent(PREFILL, agents)
  const decode = await seam.agent(DECODE, agents)
  const kv = prefill.allocate(bytes, { name: 'kv' })
  const slots = decode.allocate(bytes, { name: 'slots' })
  fillWithPattern(kv.view())
  return { seam, prefill, decode, kv, slots }
}

export type Pair = Awaited<ReturnType<typeof openPair>>

/** Bytes that differ from block to block, so that a block in the wrong place shows. */
export function fillWithPattern(view: Uint8Array, seed = 1): void {
  for (let i = 0, word = seed; i < view.length; i++) {
    word = (Math.imul(word, 1_664_525) + 1_013_904_223) >>> 0
    view[i] = word >>> 24
  }
}

export function admit(seam: Seam, request: Partial<DecideRequest> & { readonly bytes: number }): Admitted {
  const decision = seam.policy.decide({ workload: 'batch', from: PREFILL, ...request })
  if (decision.outcome !== 'admitted') throw new Error(`not admitted: ${decision.record.reason}`)
  return decision
}

/** Posts an admitted decision as the handoff does, and gives the transfer itself to the test. */
export function post(
  decision: Admitted,
  from: Descriptors,
  to: Descriptors,
  { timeoutMs = PATIENCE_MS, notify }: { timeoutMs?: number; notify?: Uint8Array } = {},
): Transfer {
  const { path } = decision
  const pull = path.mode === 'pull'
  return path.agent.post({
    permit: permitNumber(decision.permit),
    path: path.nativeIndex,
    operation: path.operation,
    local: pull ? to : from,
    remote: pull ? from : to,
    timeoutMs,
    notify,
  })
}

/** Waits for what no promise tells. */
export async function eventually(what: string, holds: () => boolean): Promise<void> {
  const until = performance.now() + PATIENCE_MS
  while (!holds()) {
    if (performance.now() > until) throw new Error(`never came true: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}
