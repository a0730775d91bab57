// The cells of a sweep: block sizes and batch sizes as nixlbench has them, or the KV shape of a model.

import { parseBytes } from '../cli/units.js'
import { SeamError } from '../errors.js'
import { kvShape } from '../kv/shape.js'

/** One kind of transfer. `parts` sub-regions (K and V of each layer) each give the same `batch` blocks. */
export interface Cell {
  /** `64KiB x 16`, `llama-3.1-70b 8192 tokens tp8`. Stable: a comparison finds the same cell by it. */
  readonly name: string
  readonly blockBytes: number
  /** Blocks of each part. */
  readonly batch: number
  readonly parts: number
  readonly descriptors: number
  readonly transferBytes: number
}

export interface ModelChoice {
  readonly model: string
  readonly tokens: number
  readonly tp: number
}

const MOST_VALUES = 64

/** Every block size with every batch size. */
export function rawCells(blockSizes: readonly number[], batches: readonly number[]): Cell[] {
  return blockSizes.flatMap((blockBytes) =>
    batches.map((batch) => ({
      name: `${sizeName(blockBytes)} x ${batch}`,
      blockBytes,
      batch,
      parts: 1,
      descriptors: batch,
      transferBytes: blockBytes * batch,
    })),
  )
}

/** What one rank moves for one prompt. @throws KVSEAM_INVALID_ARGUMENT for an unknown model or an uneven split */
export function modelCell({ model, tokens, tp }: ModelChoice): Cell {
  const shape = kvShape({ model, tokens, tp })
  return {
    name: `${model} ${tokens} tokens tp${tp}`,
    blockBytes: shape.bytesPerDescriptor,
    batch: shape.blocks,
    parts: shape.regionsPerRank,
    descriptors: shape.descriptorsPerRank,
    transferBytes: shape.bytesPerRank,
  }
}

/** `4KiB,64KiB` or `4KiB..1MiB` (doubling). @throws KVSEAM_USAGE with the part that cannot be read */
export function parseSizes(option: string, text: string): number[] {
  return parseAxis(option, text, (part) => {
    const amount = parseBytes(part)
    if ('problem' in amount) throw bad(option, part, amount.problem)
    return amount.value
  })
}

/** `1,16` or `1..64` (doubling). @throws KVSEAM_USAGE with the part that cannot be read */
export function parseCounts(option: string, text: string): number[] {
  return parseAxis(option, text, (part) => {
    if (!/^\d+$/.test(part)) throw bad(option, part, 'is no whole number')
    return Number(part)
  })
}

function parseAxis(option: string, text: string, read: (part: string) => number): number[] {
  const values = text.split(',').flatMap((part) => {
    const [first, last, ...more] = part.trim().split('..')
    if (more.length > 0 || first === undefined) throw bad(option, part, 'is no range; write for example 4KiB..1MiB')
    const from = read(first.trim())
    const to = last === undefined ? from : read(last.trim())
    if (from < 1 || to < from) throw bad(option, part, 'must begin at 1 or above and not go down')
    const doubled: number[] = []
    for (let value = from; value <= to && doubled.length <= MOST_VALUES; value *= 2) doubled.push(value)
    return doubled
  })
  if (values.length > MOST_VALUES) throw bad(option, text, `gives ${values.length} values; ${MOST_VALUES} are the most`)
  return [...new Set(values)]
}

/** In the largest unit that divides it, so that it can be typed again. */
export function sizeName(bytes: number): string {
  for (const [unit, factor] of [
    ['GiB', 2 ** 30],
    ['MiB', 2 ** 20],
    ['KiB', 2 ** 10],
  ] as const) {
    if (bytes >= factor && bytes % factor === 0) return `${bytes / factor}${unit}`
  }
  return `${bytes}B`
}

function bad(option: string, value: string, problem: string): SeamError {
  return new SeamError(
    'KVSEAM_USAGE',
    { option, value },
    `bench: --${option} ${JSON.stringify(value)} ${problem}; run "kvseam help bench"`,
  )
}
