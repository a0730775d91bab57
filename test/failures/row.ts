// A test of one row of the failure matrix. The generator of docs/failure-matrix.md finds these calls by their first two
// arguments, so both are written as literals.

import { it } from 'vitest'
import { itOnMock } from '../backend.js'

/** @param number of the row; `behaviour` what must be seen, in words that could turn out false */
export function row(number: number, behaviour: string, run: () => void | Promise<void>, timeoutMs = 120_000): void {
  it(`#${number} ${behaviour}`, run, timeoutMs)
}

/** A row that needs a rail as slow as told, which no other backend has. */
export function rowOnMock(
  number: number,
  behaviour: string,
  run: () => void | Promise<void>,
  timeoutMs = 120_000,
): void {
  itOnMock(`#${number} ${behaviour}`, run, timeoutMs)
}
