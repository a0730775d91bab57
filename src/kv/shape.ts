// Says what one prompt's KV cache looks like to a transfer: how many blocks, regions, descriptors and bytes.

import { SeamError } from '../errors.js'
import { type KvModel, type KvModelName, kvModel } from './model.js'

export interface KvShapeRequest {
  /** A name of KV_MODELS (a plain string may come from a user), or a model's own figures. */
  readonly model: KvModelName | (string & {}) | KvModel
  /** Prompt tokens whose cache is moved. */
  readonly tokens: number
  /** Tokens in one cache block (page); 16 unless told. */
  readonly blockTokens?: number
  /** Tensor-parallel ranks; 1 unless told. */
  readonly tp?: number
  /** Bytes in one cached element: 2 (bfloat16) unless told, 1 for fp8. */
  readonly elementBytes?: number
}

/** All figures are integers. Bytes are bytes, per rank where it says so. */
export interface KvShape {
  readonly tokens: number
  readonly blockTokens: number
  readonly tp: number
  readonly elementBytes: number
  /** Blocks of the prompt, the last one counted whole. */
  readonly blocks: number
  /** Registered memory regions on a rank: K and V of each layer, or one a layer for MLA. */
  readonly regionsPerRank: number
  /** (region, offset, length) runs when no two blocks are neighbours. */
  readonly descriptorsPerRank: number
  readonly bytesPerDescriptor: number
  readonly bytesPerRank: number
  /** KV heads on a rank; null for MLA, whose cache is the same on every rank. */
  readonly kvHeadsPerRank: number | null
  /** Bytes that one token adds to one layer of the undivided model. */
  readonly bytesPerTokenPerLayer: number
  /** Bytes that one token adds to the undivided model. */
  readonly bytesPerToken: number
}

/**
 * The transfer shape of one prompt.
 *
 *   blocks               = ceil(tokens / blockTokens)
 *   kvHeadsPerRank       = max(1, kvHeads / tp)            heads are copied when there are more ranks than heads
 *   regionsPerRank       = 2 layers (K and V apart)        MLA: layers
 *   bytesPerDescriptor   = blockTokens kvHeadsPerRank headDim elementBytes
 *                                                          MLA: blockTokens (kvLoraRank + qkRopeHeadDim) elementBytes
 *   descriptorsPerRank   = blocks regionsPerRank
 *   bytesPerRank         = descriptorsPerRank bytesPerDescriptor
 *   bytesPerTokenPerLayer = 2 kvHeads headDim elementBytes  MLA: (kvLoraRank + qkRopeHeadDim) elementBytes
 *   bytesPerToken        = layers bytesPerTokenPerLayer
 *
 * @throws SeamError KVSEAM_INVALID_ARGUMENT for an unknown model, a count that is not a positive integer, heads that `tp` does
 * not divide evenly (nor heads `tp`), or a result beyond 2^53 - 1
 */
export function kvShape(request: KvShapeRequest): KvShape {
  const model = typeof request.model === 'string' ? kvModel(request.model) : request.model
  const tokens = positiveInteger('tokens', request.tokens)
  const blockTokens = positiveInteger('blockTokens', request.blockTokens ?? 16)
  const tp = positiveInteger('tp', request.tp ?? 1)
  const elementBytes = positiveInteger('elementBytes', request.elementBytes ?? 2)

  const blocks = Math.ceil(tokens / blockTokens)
  const grouped = model.attention === 'gqa'
  const kvHeadsPerRank = grouped ? headsPerRank(model.kvHeads, tp) : null
  const elements = grouped ? model.kvHeads * model.headDim * 2 : model.kvLoraRank + model.qkRopeHeadDim
  const elementsPerRegion = grouped ? kvHeadsPerRank! * model.headDim : elements
  const regionsPerRank = grouped ? 2 * model.layers : model.layers
  const descriptorsPerRank = blocks * regionsPerRank
  const bytesPerDescriptor = blockTokens * elementsPerRegion * elementBytes
  return {
    tokens,
    blockTokens,
    tp,
    elementBytes,
    blocks,
    regionsPerRank,
    descriptorsPerRank,
    bytesPerDescriptor,
    bytesPerRank: positiveInteger('bytesPerRank', descriptorsPerRank * bytesPerDescriptor),
    kvHeadsPerRank,
    bytesPerTokenPerLayer: elements * elementBytes,
    bytesPerToken: model.layers * elements * elementBytes,
  }
}

/** Heads on a rank. Engines refuse uneven splits, and rounding down would lose heads without a word, so this refuses too. */
function headsPerRank(kvHeads: number, tp: number): number {
  if (kvHeads % tp !== 0 && tp % kvHeads !== 0) {
    throw new SeamError(
      'KVSEAM_INVALID_ARGUMENT',
      { field: 'tp', value: tp, kvHeads },
      `${kvHeads} KV heads cannot be split evenly over ${tp} ranks; use a tp that divides ${kvHeads}, or a multiple of it`,
    )
  }
  return Math.max(1, Math.floor(kvHeads / tp))
}

function positiveInteger(field: string, value: number): number {
  if (Number.isSafeInteger(value) && value > 0) return value
  throw new SeamError(
    'KVSEAM_INVALID_ARGUMENT',
    { field, value },
    `${field} must be an integer between 1 and 2^53 - 1, got ${String(value)}`,
  )
}
