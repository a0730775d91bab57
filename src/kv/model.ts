// The facts of public models that decide how large their KV cache is. Source: each model's published config.json.

import { didYouMean } from '../did-you-mean.js'
import { SeamError } from '../errors.js'

/** Grouped-query attention: a layer keeps K and V for each KV head. */
interface GroupedQueryModel {
  readonly attention: 'gqa'
  /** `num_hidden_layers` */
  readonly layers: number
  /** `num_key_value_heads` */
  readonly kvHeads: number
  /** `head_dim`, elements */
  readonly headDim: number
}

/** Multi-head latent attention (DeepSeek): a layer keeps one latent vector and one rotary key, shared by all heads. */
interface LatentModel {
  readonly attention: 'mla'
  /** `num_hidden_layers` */
  readonly layers: number
  /** `kv_lora_rank`, elements */
  readonly kvLoraRank: number
  /** `qk_rope_head_dim`, elements */
  readonly qkRopeHeadDim: number
}

export type KvModel = GroupedQueryModel | LatentModel

/**
 * Models by name. gpt-oss-120b alternates full layers with layers that attend to the last 128 tokens; the figures here keep
 * every token in all 36 layers, as an engine without a hybrid cache manager does.
 */
export const KV_MODELS = {
  'llama-3.1-8b': { attention: 'gqa', layers: 32, kvHeads: 8, headDim: 128 },
  'llama-3.1-70b': { attention: 'gqa', layers: 80, kvHeads: 8, headDim: 128 },
  'qwen3-32b': { attention: 'gqa', layers: 64, kvHeads: 8, headDim: 128 },
  'qwen3-235b-a22b': { attention: 'gqa', layers: 94, kvHeads: 4, headDim: 128 },
  'deepseek-v3-r1': { attention: 'mla', layers: 61, kvLoraRank: 512, qkRopeHeadDim: 64 },
  'gpt-oss-120b': { attention: 'gqa', layers: 36, kvHeads: 8, headDim: 64 },
} as const satisfies Record<string, KvModel>

export type KvModelName = keyof typeof KV_MODELS

/**
 * The model of a name that may come from a user.
 * @throws SeamError KVSEAM_INVALID_ARGUMENT that lists the known names and the nearest one
 */
export function kvModel(name: string): KvModel {
  if (Object.hasOwn(KV_MODELS, name)) return KV_MODELS[name as KvModelName]
  const known = Object.keys(KV_MODELS)
  throw new SeamError(
    'KVSEAM_INVALID_ARGUMENT',
    { field: 'model', value: name, known },
    `unknown model ${JSON.stringify(name)}${didYouMean(name, known)}; known: ${known.join(', ')}`,
  )
}
