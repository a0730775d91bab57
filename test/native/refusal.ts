// Looks closely at an error that a wrong argument raised: code, the field, its value, and a text that says what to do.

import { expect } from 'vitest'
import { SeamError, type SeamErrorCode } from '../../src/errors.js'

/** The SeamError that `call` throws or rejects with; anything else fails the test. */
export async function refusalOf(call: () => unknown): Promise<SeamError> {
  try {
    await call()
  } catch (error) {
    if (SeamError.is(error)) return error
    throw error
  }
  throw new Error('it was accepted')
}

export interface Expected {
  readonly code: SeamErrorCode
  /** What the text must say: the field, the value, the remedy. */
  readonly says: readonly string[]
}

export async function expectRefusal(call: () => unknown, { code, says }: Expected): Promise<SeamError> {
  const error = await refusalOf(call)
  expect(error.code, error.message).toBe(code)
  for (const part of says) expect(error.message).toContain(part)
  return error
}
