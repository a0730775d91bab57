// What demo and probe play on: a prefill agent in this process, decode agents in processes of their own, all connected.

import type { Agent } from '../native/agent.js'
import { openSeam, type Seam, type SeamOptions } from '../seam.js'
import { DecodeLink } from './decode-link.js'
import type { DecodeSetup } from './messages.js'

export const PREFILL = 'prefill-0'

export interface StageSetup {
  readonly backend: string
  readonly decodes: number
  readonly rails: number
  readonly railBytesPerSecond: number
  readonly railLatencyUs: number
  /** What a real backend opens for each rail; its choice unless told. */
  readonly railDevice?: string | undefined
  /** Layout of every decode process's pool. */
  readonly pool: DecodeSetup['plan']
  readonly seed: number
}

export interface Stage {
  readonly seam: Seam
  readonly agent: Agent
  readonly links: readonly DecodeLink[]
  close(): Promise<void>
}

/** @throws KVSEAM_PEER_DOWN when a decode process does not come up, and what openSeam() throws; nothing is left open then */
export async function openStage(setup: StageSetup, options: Omit<SeamOptions, 'backend'> = {}): Promise<Stage> {
  const links: DecodeLink[] = []
  const seam = await openSeam({ ...options, backend: setup.backend })
  const close = async (): Promise<void> => {
    await Promise.all(links.map((link) => link.stop()))
    await seam.close({ drainMs: 500 })
  }
  try {
    const rails = Array.from({ length: setup.rails }, (_, i) => ({
      name: `rail${i}`,
      // A model is the mock's; a real device has the rate that it has.
      ...(setup.railDevice === undefined
        ? { bytesPerSecond: setup.railBytesPerSecond, latencyUs: setup.railLatencyUs }
        : { device: setup.railDevice }),
    }))
    const agent = await seam.agent(PREFILL, { rails })
    // The three figures alone: they go to the process as an argument, where a whole plan need not fit.
    const { parts, blockBytes, poolBlocks } = setup.pool
    const plan = { parts, blockBytes, poolBlocks }
    const starting = Array.from({ length: setup.decodes }, (_, i) =>
      DecodeLink.start({ name: `decode-${i}`, backend: setup.backend, rails, plan }, setup.seed + i),
    )
    const started = await Promise.allSettled(starting)
    for (const each of started) if (each.status === 'fulfilled') links.push(each.value)
    for (const each of started) if (each.status === 'rejected') throw each.reason
    for (const link of links) link.peer = await seam.connect(agent, link.metadata, { pool: 'decode' })
    return { seam, agent, links, close }
  } catch (error) {
    await close()
    throw error
  }
}
