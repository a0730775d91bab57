// A seam with one agent that pulls from peer processes, each transfer in the settle ledger.

import { onTestFinished, vi } from 'vitest'
import { openSeam, type Peer, type Seam } from '../../src/index.js'
import type { Agent } from '../../src/native/agent.js'
import type { Transfer } from '../../src/native/transfer.js'
import { permitNumber } from '../../src/permit.js'
import { backendOptions } from '../backend.js'
import { SettleLedger } from './oracles/ledger.js'

export const BYTES = 1024 * 1024
/** Detection of a dead or frozen peer must take less than this. */
export const DETECTION_MS = 2000

export interface Puller {
  readonly seam: Seam
  readonly agent: Agent
  readonly ledger: SettleLedger
  pull(peer: Peer, timeoutMs?: number): Transfer
}

export async function puller(bytesPerSecond = 0): Promise<Puller> {
  vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
  const seam = await openSeam({ ...backendOptions, profile: 'reference', sessionsPerPath: 10_000 })
  onTestFinished(() => seam.close())
  const rails = [0, 1].map((n) => ({ name: `rail${n}`, bytesPerSecond }))
  const agent = await seam.agent('decode-0', { rails })
  const target = agent.allocate(8 * BYTES, { name: 'kv' })
  let pulls = 0
  const ledger = new SettleLedger()
  return {
    seam,
    agent,
    ledger,
    pull(peer, timeoutMs = 10_000) {
      const decision = seam.policy.decide({ workload: 'batch', bytes: BYTES, from: peer.name, to: ['decode-0'] })
      if (decision.outcome !== 'admitted') throw new Error(decision.record.reason)
      const transfer = agent.post({
        permit: permitNumber(decision.permit),
        path: decision.path.nativeIndex,
        operation: decision.path.operation,
        local: target.range((pulls++ % 8) * BYTES, BYTES),
        remote: peer.region('kv').range(0, BYTES),
        timeoutMs,
      })
      void transfer.quiesced.then(() => seam.policy.releaseQuietly(decision.lease))
      ledger.enter(transfer, agent, BYTES, timeoutMs)
      return transfer
    },
  }
}
