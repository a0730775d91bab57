// Shapes must equal the reference rows and rows worked out by hand, and nonsense must be refused.

import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { KV_MODELS, kvModel } from '../../src/kv/model.js'
import { kvShape } from '../../src/kv/shape.js'

interface ReferenceRow {
  readonly tokens: number
  readonly block_tokens: number
  readonly tp: number
  readonly blocks: number
  readonly regions_per_rank: number
  readonly descriptors_per_rank: number
  readonly bytes_per_descriptor: number
  readonly bytes_per_rank: number
  readonly kv_heads_per_rank: number | null
}

interface ReferenceModel {
  readonly kv_bytes_per_token_per_layer_bf16: number
  readonly kv_bytes_per_token_bf16: number
  readonly kv_bytes_per_token_fp8: number
  readonly transfers_bf16: readonly ReferenceRow[]
}

const shared = process.env['KVSEAM_SHARED'] ?? fileURLToPath(new URL('../../../shared', import.meta.url))
const reference = `${shared}/reference/kv-shapes.json`

describe('against the reference shapes', () => {
  it('gives every row of kv-shapes.json', (context) => {
    if (!existsSync(reference)) context.skip(`no ${reference}; set KVSEAM_SHARED to check the reference rows`)
    const { models } = JSON.parse(readFileSync(reference, 'utf8')) as { models: Record<string, ReferenceModel> }
    expect(Object.keys(models).sort()).toEqual(Object.keys(KV_MODELS).sort())
    let rows = 0
    for (const [model, expected] of Object.entries(models)) {
      for (const row of expected.transfers_bf16) {
        const shape = kvShape({ model, tokens: row.tokens, blockTokens: row.block_tokens, tp: row.tp })
        expect(
          {
            tokens: shape.tokens,
            block_tokens: shape.blockTokens,
            tp: shape.tp,
            blocks: shape.blocks,
            regions_per_rank: shape.regionsPerRank,
            descriptors_per_rank: shape.descriptorsPerRank,
            bytes_per_descriptor: shape.bytesPerDescriptor,
            bytes_per_rank: shape.bytesPerRank,
            kv_heads_per_rank: shape.kvHeadsPerRank,
          },
          `${model}, ${row.tokens} tokens`,
        ).toEqual({ ...row, kv_heads_per_rank: row.kv_heads_per_rank ?? null })
        rows += 1
      }
      const bf16 = kvShape({ model, tokens: 1 })
      expect(bf16.bytesPerTokenPerLayer).toBe(expected.kv_bytes_per_token_per_layer_bf16)
      expect(bf16.bytesPerToken).toBe(expected.kv_bytes_per_token_bf16)
      expect(kvShape({ model, tokens: 1, elementBytes: 1 }).bytesPerToken).toBe(expected.kv_bytes_per_token_fp8)
    }
    expect(rows).toBe(132)
  })
})

describe('worked out by hand', () => {
  it('llama-3.1-8b, 1,000 tokens in blocks of 16: the last block counts whole', () => {
    // 1000 / 16 = 62.5 -> 63 blocks; 2 * 32 regions; 16 * 8 * 128 * 2 = 32,768 bytes.
    expect(kvShape({ model: 'llama-3.1-8b', tokens: 1000 })).toEqual({
      tokens: 1000,
      blockTokens: 16,
      tp: 1,
      elementBytes: 2,
      blocks: 63,
      regionsPerRank: 64,
      descriptorsPerRank: 4032,
      bytesPerDescriptor: 32768,
      bytesPerRank: 132120576,
      kvHeadsPerRank: 8,
      bytesPerTokenPerLayer: 4096,
      bytesPerToken: 131072,
    })
  })

  it('qwen3-235b-a22b, 32,768 tokens on 8 ranks in bf16 moves 12.6 GB: 4 KV heads are sent twice', () => {
    const shape = kvShape({ model: 'qwen3-235b-a22b', tokens: 32768, tp: 8 })
    expect(shape.kvHeadsPerRank).toBe(1)
    expect(shape.bytesPerRank * 8).toBe(2 * 192512 * 32768)
  })

  it('deepseek-v3-r1 has one region a layer and the same bytes on every rank', () => {
    const alone = kvShape({ model: 'deepseek-v3-r1', tokens: 4096, blockTokens: 64 })
    // 64 * (512 + 64) * 2 = 73,728 bytes; 64 blocks * 61 layers = 3,904.
    expect(alone).toMatchObject({
      regionsPerRank: 61,
      descriptorsPerRank: 3904,
      bytesPerDescriptor: 73728,
      kvHeadsPerRank: null,
    })
    expect(kvShape({ model: 'deepseek-v3-r1', tokens: 4096, blockTokens: 64, tp: 16 })).toEqual({ ...alone, tp: 16 })
  })

  it('takes a model that is not in the table', () => {
    const model = { attention: 'gqa', layers: 2, kvHeads: 3, headDim: 10 } as const
    expect(kvShape({ model, tokens: 5, blockTokens: 2, elementBytes: 4, tp: 3 })).toMatchObject({
      blocks: 3,
      regionsPerRank: 4,
      bytesPerDescriptor: 2 * 1 * 10 * 4,
      bytesPerRank: 3 * 4 * 80,
    })
  })
})

describe('refusals', () => {
  it('an unknown model is refused with the nearest name and all known ones', () => {
    expect(() => kvShape({ model: 'lama-3.1-8b', tokens: 1 })).toThrowError(
      expect.objectContaining({
        code: 'KVSEAM_INVALID_ARGUMENT',
        message: expect.stringMatching(/did you mean llama-3\.1-8b\?.*gpt-oss-120b/),
      }),
    )
  })

  it('a name from the prototype of objects is no model', () => {
    expect(() => kvModel('constructor')).toThrow(/unknown model/)
    expect(() => kvModel('__proto__')).toThrow(/unknown model/)
  })

  it.each([
    ['tokens', { tokens: 0 }],
    ['tokens', { tokens: Number.NaN }],
    ['tokens', { tokens: 1.5 }],
    ['blockTokens', { tokens: 1, blockTokens: 0 }],
    ['tp', { tokens: 1, tp: -1 }],
    ['tp', { tokens: 1, tp: 3 }],
    ['tp', { tokens: 1, tp: 12 }],
    ['elementBytes', { tokens: 1, elementBytes: 0.5 }],
    ['bytesPerRank', { tokens: Number.MAX_SAFE_INTEGER }],
  ])('%s is named when it is wrong: %j', (field, request) => {
    expect(() => kvShape({ model: 'llama-3.1-8b', ...request })).toThrowError(
      expect.objectContaining({ code: 'KVSEAM_INVALID_ARGUMENT', facts: expect.objectContaining({ field }) }),
    )
  })
})
