// What one demo run will do: which requests arrive when, what class they are, and how their KV caches are laid out.

import { kvShape } from '../kv/shape.js'
import { integerAt, streamOf } from '../random.js'
import type { TraceRequest } from '../trace/request.js'

export const CLASSES = ['release', 'interactive', 'batch'] as const
export type WorkloadClass = (typeof CLASSES)[number]

/** Traces carry no classes, so these shares are ours: percent of requests. */
export const CLASS_SHARES: Record<WorkloadClass, number> = { release: 10, interactive: 50, batch: 40 }

export interface DemoRequest {
  readonly id: number
  /** From the start of the run. */
  readonly atMs: number
  readonly workload: WorkloadClass
  readonly tokens: number
  readonly blocks: number
  /** How long the decode side keeps the blocks after it has verified them. */
  readonly holdMs: number
}

export interface DemoPlan {
  readonly model: string
  readonly tp: number
  readonly seed: number
  readonly durationMs: number
  readonly requests: readonly DemoRequest[]
  /** Prompts that were cut to maxTokens. */
  readonly cut: number
  /** Sub-regions of a pool: K and V of each layer. */
  readonly parts: number
  readonly blockBytes: number
  /** Bytes of a block here over the model's own. */
  readonly bytesScale: number
  readonly poolBlocks: number
}

export interface PlanOptions {
  readonly model: string
  readonly tp: number
  readonly seed: number
  readonly durationMs: number
  readonly maxTokens: number
  /** 0 picks one with which the largest request moves about LARGEST_BYTES. */
  readonly bytesScale: number
  readonly trace: readonly TraceRequest[]
}

const BLOCK_TOKENS = 16
/** The published rules score raw milliseconds, so a demo of them keeps its transfers short. */
const LARGEST_BYTES = 4 * 1024 * 1024
/** Room for this many of the largest requests at once. */
const POOL_REQUESTS = 12
const LONGEST_HOLD_MS = 400
/** Memory that one pool may take. */
const LARGEST_POOL_BYTES = 2 * 1024 * 1024 * 1024

export function planDemo(options: PlanOptions): DemoPlan {
  const tokens = options.trace.map((request) => Math.min(request.inputTokens, options.maxTokens))
  const largest = kvShape({
    model: options.model,
    tp: options.tp,
    blockTokens: BLOCK_TOKENS,
    tokens: tokens.reduce((most, each) => Math.max(most, each), 1),
  })
  const wanted = options.bytesScale > 0 ? options.bytesScale : Math.min(1, LARGEST_BYTES / largest.bytesPerRank)
  const blockBytes = Math.max(16, Math.round((largest.bytesPerDescriptor * wanted) / 16) * 16)
  const mostBlocks = Math.floor(LARGEST_POOL_BYTES / (blockBytes * largest.regionsPerRank))
  const poolBlocks = Math.max(largest.blocks, Math.min(mostBlocks, largest.blocks * POOL_REQUESTS))

  const last = options.trace.at(-1)?.atMs ?? 0
  const stretch = last === 0 ? 0 : options.durationMs / last
  const classes = streamOf(options.seed, 'demo-class')
  return {
    model: options.model,
    tp: options.tp,
    seed: options.seed,
    durationMs: options.durationMs,
    cut: options.trace.filter((request) => request.inputTokens > options.maxTokens).length,
    parts: largest.regionsPerRank,
    blockBytes,
    bytesScale: blockBytes / largest.bytesPerDescriptor,
    poolBlocks,
    requests: options.trace.map((request, id) => ({
      id,
      atMs: request.atMs * stretch,
      workload: classOf(integerAt(classes, id, 100)),
      tokens: tokens[id]!,
      blocks: Math.ceil(tokens[id]! / BLOCK_TOKENS),
      holdMs: Math.min(LONGEST_HOLD_MS, request.outputTokens),
    })),
  }
}

function classOf(percent: number): WorkloadClass {
  let below = 0
  for (const name of CLASSES) {
    below += CLASS_SHARES[name]
    if (percent < below) return name
  }
  return 'batch'
}
