// The one way a trace reader says what is wrong with a file: where, which field, which value, and what to do.

import { SeamError } from '../errors.js'

/** The place of a fault in a trace file. `line` counts from 1; the rest is left out where it does not apply. */
export interface TracePlace {
  readonly file: string
  readonly line?: number
  readonly field?: string
  readonly value?: unknown
}

const LONGEST_VALUE = 80

/** SeamError KVSEAM_TRACE_INVALID: `file:line: field value: problem; remedy`, with the place as facts. */
export function traceInvalid(place: TracePlace, problem: string, remedy: string, cause?: unknown): SeamError {
  const facts = { ...place }
  if ('value' in place) Object.assign(facts, { value: shortened(place.value) })
  const at = place.line === undefined ? place.file : `${place.file}:${place.line}`
  const what = place.field === undefined ? '' : `${place.field}${'value' in place ? ` ${shown(place.value)}` : ''} `
  return new SeamError('KVSEAM_TRACE_INVALID', facts, `${at}: ${what}${problem}; ${remedy}`, { cause })
}

function shortened(value: unknown): unknown {
  return typeof value === 'string' && value.length > LONGEST_VALUE ? `${value.slice(0, LONGEST_VALUE)}…` : value
}

function shown(value: unknown): string {
  if (typeof value === 'number') return String(value)
  const text = JSON.stringify(value) ?? String(value)
  return text.length > LONGEST_VALUE ? `${text.slice(0, LONGEST_VALUE)}…` : text
}
