// Holds what the code computed against what a vector expects, field by field.
//   numbers agree within 1e-9 * max(1, |expected|); scores that the vectors carry with 4 decimals within 6e-5;
//   everything else (states, outcomes, reasons, orders, lengths, nulls) exactly

/** A value that JSON can carry. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json }

export interface Mismatch {
  readonly field: string
  readonly expected: unknown
  readonly got: unknown
}

/** Thrown when a vector leaves out a field the code answers: an empty expectation would pass anything. */
export class MissingExpectation extends Error {
  readonly field: string

  constructor(field: string) {
    super(`${field} is missing`)
    this.field = field
  }
}

/** Numeric tolerance of the field at `path`, relative to max(1, |expected|). */
export type ToleranceOf = (path: string) => number

export const EXACT_TOLERANCE = 1e-9
export const ROUNDED_TOLERANCE = 6e-5

/** Appends every difference to `mismatches`; a field that the code does not answer is one. */
export function compare(
  expected: unknown,
  got: Json,
  path: string,
  toleranceOf: ToleranceOf,
  mismatches: Mismatch[],
): void {
  if (expected === undefined) throw new MissingExpectation(path)
  if (typeof got === 'number' && typeof expected === 'number') {
    const slack = toleranceOf(path) * Math.max(1, Math.abs(expected))
    if (!(Math.abs(got - expected) <= slack)) mismatches.push({ field: path, expected, got })
  } else if (isList(got) && Array.isArray(expected)) {
    if (got.length !== expected.length) {
      mismatches.push({ field: `${path}.length`, expected: expected.length, got: got.length })
    }
    for (let i = 0; i < Math.min(got.length, expected.length); i++) {
      compare(expected[i], got[i]!, `${path}[${i}]`, toleranceOf, mismatches)
    }
  } else if (isObject(got) && isObject(expected)) {
    for (const [name, value] of Object.entries(got)) {
      compare((expected as Record<string, unknown>)[name], value, `${path}.${name}`, toleranceOf, mismatches)
    }
    for (const [name, value] of Object.entries(expected)) {
      if (!Object.hasOwn(got, name)) mismatches.push({ field: `${path}.${name}`, expected: value, got: undefined })
    }
  } else if (got !== expected) {
    mismatches.push({ field: path, expected, got })
  }
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value)
}

function isObject<T>(value: T): value is T & object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
