// Random numbers by counter instead of by state, so that one seed gives the same draws on every machine and in any order.
//
// Construction (our choice; the parts are public-domain code of Austin Appleby, MurmurHash3.cpp):
//   stream(seed, purpose, ids) = (a, b), two MurmurHash3_x86_32 hashes of the same words, with hash seeds 0 and 0x9e3779b9
//   draw(stream, index)        = fmix32(fmix32(lo(index) ^ a) ^ b ^ fmix32(hi(index)))
// fmix32 is MurmurHash3's finalizer, a bijection of 32 bits: inside a stream 2^32 consecutive draws never repeat, and two
// streams are the same only when 64 bits collide. Not for secrets.
//
// Only Math.imul, shifts and the four basic IEEE-754 operations are used. ECMAScript leaves Math.log, Math.exp and Math.pow
// to the implementation, so none of them may decide what a seed means
// (the constants Math.LN2 and Math.SQRT2 are exact).

import { SeamError } from './errors.js'

const TWO_32 = 4294967296

/** The key of one stream of draws. Make it once with `streamOf`; it holds no position. */
export interface DrawStream {
  /** First key word, uint32. */
  readonly a: number
  /** Second key word, uint32. */
  readonly b: number
}

/**
 * The stream of one seed and one purpose; different purposes (or ids) of a seed are independent streams.
 *
 * @param seed any safe integer
 * @param purpose what the draws decide, such as `arrivals`
 * @param ids safe integers that tell apart streams of one purpose, such as a path's index
 * @throws SeamError KVSEAM_INVALID_ARGUMENT when the seed or an id is not a safe integer
 */
export function streamOf(seed: number, purpose: string, ...ids: readonly number[]): DrawStream {
  const words: number[] = []
  pushInteger(words, 'seed', seed)
  words.push(purpose.length)
  for (let i = 0; i < purpose.length; i++) words.push(purpose.charCodeAt(i))
  for (const id of ids) pushInteger(words, 'id', id)
  return { a: murmur3(words, 0), b: murmur3(words, 0x9e3779b9) }
}

/** Draw number `index` of a stream: an integer, evenly spread over 0 .. 2^32 - 1. `index` is an integer 0 .. 2^53 - 1. */
export function uint32At(stream: DrawStream, index: number): number {
  const high = index < TWO_32 ? 0 : fmix32(Math.floor(index / TWO_32))
  return fmix32(fmix32(index ^ stream.a) ^ stream.b ^ high)
}

/** Draw number `index` as a multiple of 2^-32 in [0, 1). */
export function unitAt(stream: DrawStream, index: number): number {
  return uint32At(stream, index) / TWO_32
}

/**
 * Draw number `index` as an integer in 0 .. below - 1. `below` is an integer 1 .. 2^32; no value is more than
 * below / 2^32 (relative) likelier than another.
 */
export function integerAt(stream: DrawStream, index: number, below: number): number {
  return Math.floor(unitAt(stream, index) * below)
}

/** Draw number `index` as an exponential gap of mean 1, between 1.2e-10 and 22.9; scale it by the mean wanted. */
export function exponentialAt(stream: DrawStream, index: number): number {
  return minusLogMidpoint(uint32At(stream, index))
}

/** The integers 0 .. count - 1 in a shuffled order (Fisher-Yates), `count` draws of the stream. */
export function permutation(stream: DrawStream, count: number): Uint32Array {
  const order = new Uint32Array(count)
  for (let i = 0; i < count; i++) {
    const j = integerAt(stream, i, i + 1)
    order[i] = order[j]!
    order[j] = i
  }
  return order
}

/**
 * -ln((word + 0.5) / 2^32) for a uint32 word, within 1e-15 relative of the true value or 1e-16 absolute.
 * (2 word + 1) = m 2^b with m in [sqrt(1/2), sqrt(2)); ln m = 2 artanh(s), s = (m - 1) / (m + 1), |s| < 0.172, ten odd terms.
 */
export function minusLogMidpoint(word: number): number {
  let bits = 32 - Math.clz32(word)
  let m = (2 * word + 1) / (bits === 32 ? TWO_32 : (1 << bits) >>> 0)
  if (m > Math.SQRT2) {
    m /= 2
    bits += 1
  }
  const s = (m - 1) / (m + 1)
  const q = s * s
  let sum = 1 / 19
  for (let odd = 17; odd >= 1; odd -= 2) sum = sum * q + 1 / odd
  return (33 - bits) * Math.LN2 - 2 * s * sum
}

/**
 * MurmurHash3_x86_32 of 32-bit words (each little-endian, so the hash of their bytes), uint32.
 * Source of the constants and rotations: MurmurHash3.cpp, Austin Appleby, public domain.
 */
export function murmur3(words: readonly number[], seed: number): number {
  let h = seed
  for (const word of words) {
    let k = Math.imul(word, 0xcc9e2d51)
    k = (k << 15) | (k >>> 17)
    h ^= Math.imul(k, 0x1b873593)
    h = (h << 13) | (h >>> 19)
    h = (Math.imul(h, 5) + 0xe6546b64) | 0
  }
  return fmix32(h ^ (words.length * 4))
}

function fmix32(word: number): number {
  let h = word
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

function pushInteger(words: number[], field: string, value: number): void {
  if (!Number.isSafeInteger(value)) {
    throw new SeamError('KVSEAM_INVALID_ARGUMENT', { field, value }, `${field} must be a safe integer, got ${value}`)
  }
  words.push(value >>> 0, Math.floor(value / TWO_32) >>> 0)
}
