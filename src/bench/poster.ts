// The two ways in which a benchmark posts: asking the policy for every transfer, or with a permit minted without asking. Both
// need a permit: the native layer refuses everything else, here too.

import type { Decision } from '../decision.js'
import { binding } from '../native/binding.js'
import type { Descriptors } from '../native/descriptors.js'
import type { Transfer, TransferOutcome } from '../native/transfer.js'
import type { Path } from '../paths.js'
import { WORKLOADS } from '../policy/workload.js'
import { gateOf, type Seam } from '../seam.js'

const PERMIT_TTL_NS = 10e9

/** One pair of descriptor lists that no other transfer uses at the same time. */
export interface Slot {
  /** In this process. */
  readonly near: Descriptors
  readonly far: Descriptors
  readonly nearIds: Uint32Array
  readonly farIds: Uint32Array
}

export interface Poster {
  /**
   * @param idle called once, when nothing can touch the slot's memory any more; for ever late when that never happens
   * @returns `refused` when the policy said no and nothing was posted
   * @throws what the transfer failed with
   */
  post(slot: Slot, idle: () => void): Promise<TransferOutcome | 'refused'>
}

/** Takes a decision for every transfer; the other paths are excluded, so that the figures stay those of one path. */
export function gatedPoster(seam: Seam, path: Path, deadlineMs: number): Poster {
  const exclude = [...seam.paths].filter((other) => other !== path).map((other) => other.id)
  const pull = path.mode === 'pull'
  const to = [path.to]
  return {
    async post({ near, far }, idle) {
      const request = { workload: WORKLOADS.batch, bytes: near.bytes, from: path.from, to, deadlineMs, exclude }
      let decision: Decision
      try {
        decision = seam.policy.decide(request)
      } catch (error) {
        idle()
        throw error
      }
      if (decision.outcome !== 'admitted') {
        idle()
        return 'refused'
      }
      const sides = pull ? { from: far, to: near } : { from: near, to: far }
      const moved = await seam.transfer(decision, { ...sides, deadlineMs, verify: 'off', onQuiesced: idle })
      return moved.outcome
    },
  }
}

/** Mints a permit for every transfer without a decision: what is left is the transport and the crossing. */
export function barePoster(seam: Seam, path: Path, deadlineMs: number): Poster {
  const gate = gateOf(seam)
  return {
    async post({ near, far }, idle) {
      let transfer: Transfer
      try {
        transfer = path.agent.post({
          permit: binding().mint(gate, path.key, path.operation, near.bytes, PERMIT_TTL_NS),
          path: path.nativeIndex,
          operation: path.operation,
          local: near,
          remote: far,
          timeoutMs: deadlineMs,
        })
      } catch (error) {
        idle()
        throw error
      }
      void transfer.quiesced.then(idle)
      return await transfer.settled
    },
  }
}
