// The first of the two bounds checks: refuses a bad argument with its name, its value and what would be right.

import { SeamError, type SeamErrorCode } from './errors.js'

function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}...` : value)
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value === 'object' && value !== null) return value.constructor?.name ?? 'object'
  return String(value)
}

/** An error that names the field, the value and the remedy. */
export function refuse(code: SeamErrorCode, field: string, value: unknown, remedy: string): SeamError {
  return new SeamError(code, { field, value: show(value) }, `${field} is ${show(value)}; ${remedy}`)
}

/** A whole number from `least` to `most` (2^53 - 1 unless told). @throws KVSEAM_INVALID_ARGUMENT or KVSEAM_OUT_OF_BOUNDS */
export function wholeNumber(field: string, value: unknown, least = 0, most = Number.MAX_SAFE_INTEGER): number {
  if (typeof value !== 'number') throw refuse('KVSEAM_INVALID_ARGUMENT', field, value, 'it must be a number')
  if (!Number.isInteger(value)) throw refuse('KVSEAM_OUT_OF_BOUNDS', field, value, 'it must be a whole number')
  if (value < least || value > most) {
    throw refuse('KVSEAM_OUT_OF_BOUNDS', field, value, `it must be from ${least} to ${most}`)
  }
  return value
}

/** An object, such as a request. @throws KVSEAM_INVALID_ARGUMENT */
export function object(field: string, value: unknown, remedy: string): void {
  if (typeof value !== 'object' || value === null) throw refuse('KVSEAM_INVALID_ARGUMENT', field, value, remedy)
}

/** A string. @throws KVSEAM_INVALID_ARGUMENT */
export function text(field: string, value: unknown): void {
  if (typeof value !== 'string') throw refuse('KVSEAM_INVALID_ARGUMENT', field, value, 'it must be a string')
}

/** A list of texts, such as path ids. @throws KVSEAM_INVALID_ARGUMENT */
export function texts(field: string, value: unknown): void {
  if (Array.isArray(value) && value.every((each) => typeof each === 'string')) return
  throw refuse('KVSEAM_INVALID_ARGUMENT', field, value, 'it must be an array of strings')
}

/** A span in milliseconds that may be 0. @throws KVSEAM_INVALID_ARGUMENT or KVSEAM_OUT_OF_BOUNDS */
export function waitMs(field: string, value: unknown): number {
  return value === 0 ? 0 : positive(field, value, 86_400_000)
}

/** A finite number above zero; `most` bounds it. @throws KVSEAM_INVALID_ARGUMENT or KVSEAM_OUT_OF_BOUNDS */
export function positive(field: string, value: unknown, most = Number.MAX_SAFE_INTEGER): number {
  if (typeof value !== 'number') throw refuse('KVSEAM_INVALID_ARGUMENT', field, value, 'it must be a number')
  if (!(value > 0 && value <= most))
    throw refuse('KVSEAM_OUT_OF_BOUNDS', field, value, `it must be above 0 and at most ${most}`)
  return value
}

/** A name that may stand in a path id: the same rule as `validName` in native/core/metadata.cc. */
export function name(field: string, value: unknown): string {
  if (typeof value !== 'string') throw refuse('KVSEAM_INVALID_ARGUMENT', field, value, 'it must be a string')
  if (!/^[A-Za-z0-9._:@-]{1,63}$/.test(value)) {
    throw refuse('KVSEAM_INVALID_ARGUMENT', field, value, 'it must have 1 to 63 characters of A-Z a-z 0-9 . _ : @ -')
  }
  return value
}

/** Refuses keys that the options do not have. @throws KVSEAM_CONFIG_INVALID */
export function knownKeys(where: string, value: unknown, known: readonly string[]): void {
  if (typeof value !== 'object' || value === null)
    throw refuse('KVSEAM_CONFIG_INVALID', where, value, 'it must be an object')
  for (const key of Object.keys(value)) {
    if (!known.includes(key)) {
      throw refuse(
        'KVSEAM_CONFIG_INVALID',
        `${where}.${key}`,
        (value as Record<string, unknown>)[key],
        `known are: ${known.join(', ')}`,
      )
    }
  }
}

/** Plain bytes that may be copied now: not detached, not resizable. @throws KVSEAM_INVALID_ARGUMENT */
export function bytes(field: string, value: unknown): Uint8Array {
  if (!ArrayBuffer.isView(value))
    throw refuse('KVSEAM_INVALID_ARGUMENT', field, value, 'it must be a typed array or a Buffer')
  const buffer = value.buffer as ArrayBuffer & { resizable?: boolean; growable?: boolean; detached?: boolean }
  if (buffer.resizable === true || buffer.growable === true) {
    throw refuse(
      'KVSEAM_INVALID_ARGUMENT',
      field,
      value,
      'a resizable buffer can shrink under a copy; pass a fixed one',
    )
  }
  if (buffer.detached === true) throw refuse('KVSEAM_INVALID_ARGUMENT', field, value, 'its memory was transferred away')
  return new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
}

/** Nanoseconds from a span in milliseconds. @throws as `positive` */
export function spanNs(field: string, milliseconds: unknown): number {
  return Math.ceil(positive(field, milliseconds, 86_400_000) * 1e6)
}
