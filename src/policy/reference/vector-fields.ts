// Reads typed fields out of a parsed vector line. Anything missing or of the wrong type ends the check with
// KVSEAM_VECTORS_INVALID naming file, line and field: a vector that cannot be read must not count as passed.

import { SeamError } from '../../errors.js'
import type { WorkloadProfile } from '../workload.js'
import { type ReferenceState, SEVERITY } from './path-state.js'
import { type ReferenceThresholds, resolveThresholds } from './thresholds.js'

export interface LineOrigin {
  readonly file: string
  /** Counted from 1. */
  readonly line: number
}

const PUBLISHED_NAMES: Readonly<Record<string, keyof ReferenceThresholds>> = {
  latency_quarantine_ms: 'latencyQuarantineMs',
  jitter_restricted_ms: 'jitterRestrictedMs',
  drop_quarantine: 'dropQuarantine',
  w_latency: 'latencyWeight',
  w_jitter: 'jitterWeight',
  w_drop: 'dropWeight',
  candidate_window: 'candidateWindow',
  persistence_to_escalate: 'persistenceToEscalate',
  clean_to_restore: 'cleanToRestore',
  clean_to_healthy: 'cleanToHealthy',
  fae_cluster_scale: 'faeClusterScale',
  fae_max: 'faeMax',
}

export function invalidVector(origin: LineOrigin, problem: string, remedy: string, cause?: unknown): SeamError {
  return new SeamError(
    'KVSEAM_VECTORS_INVALID',
    { file: origin.file, line: origin.line, problem },
    `${origin.file}:${origin.line}: ${problem}; ${remedy}`,
    { cause },
  )
}

/** One JSON object of a vector, with the place it stands at. */
export class Fields {
  readonly origin: LineOrigin
  readonly #at: string
  readonly #object: Readonly<Record<string, unknown>>

  constructor(value: unknown, at: string, origin: LineOrigin) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw invalidVector(origin, `${at || 'the line'} is not a JSON object`, 'write one case a line')
    }
    this.origin = origin
    this.#at = at
    this.#object = value as Record<string, unknown>
  }

  raw(name: string): unknown {
    return this.#object[name]
  }

  number(name: string): number {
    const value = this.#object[name]
    if (typeof value === 'number') return value
    throw this.#wrong(name, 'a number')
  }

  count(name: string): number {
    const value = this.number(name)
    if (Number.isSafeInteger(value) && value >= 0) return value
    throw this.#wrong(name, 'a whole number of at least 0')
  }

  text(name: string): string {
    const value = this.#object[name]
    if (typeof value === 'string') return value
    throw this.#wrong(name, 'a string')
  }

  flag(name: string): boolean {
    const value = this.#object[name]
    if (typeof value === 'boolean') return value
    throw this.#wrong(name, 'true or false')
  }

  state(name: string): ReferenceState {
    const value = this.text(name)
    if (Object.hasOwn(SEVERITY, value)) return value as ReferenceState
    throw this.#wrong(name, `one of ${Object.keys(SEVERITY).join(', ')}`)
  }

  numbers(name: string): readonly number[] {
    const value = this.#object[name]
    if (Array.isArray(value) && value.every((entry) => typeof entry === 'number')) return value as number[]
    throw this.#wrong(name, 'an array of numbers')
  }

  object(name: string): Fields {
    return new Fields(this.#object[name], this.#path(name), this.origin)
  }

  objects(name: string): readonly Fields[] {
    const value = this.#object[name]
    if (!Array.isArray(value)) throw this.#wrong(name, 'an array of objects')
    return value.map((entry, i) => new Fields(entry, `${this.#path(name)}[${i}]`, this.origin))
  }

  workload(name: string): WorkloadProfile {
    const fields = this.object(name)
    return {
      name: fields.text('name'),
      criticality: fields.number('criticality'),
      latencySlaMs: fields.number('latency_sla_ms'),
      jitterTolerance: fields.number('jitter_tolerance'),
      isReleasePath: fields.flag('is_release_path'),
      isPrefillDecodeStrict: fields.flag('is_prefill_decode_strict'),
    }
  }

  /** Thresholds in the published spelling; `{}` is all defaults. */
  thresholds(name: string): ReferenceThresholds {
    const fields = this.object(name)
    const overrides: Partial<Record<keyof ReferenceThresholds, number>> = {}
    for (const published of Object.keys(fields.#object)) {
      const ours = Object.hasOwn(PUBLISHED_NAMES, published) ? PUBLISHED_NAMES[published] : undefined
      if (ours === undefined) throw fields.#wrong(published, `one of ${Object.keys(PUBLISHED_NAMES).join(', ')}`)
      overrides[ours] = fields.number(published)
    }
    return resolveThresholds(overrides)
  }

  #path(name: string): string {
    return this.#at === '' ? name : `${this.#at}.${name}`
  }

  #wrong(name: string, wanted: string): SeamError {
    const value = this.#object[name]
    const found = value === undefined ? 'missing' : `${JSON.stringify(value)}`
    return invalidVector(this.origin, `${this.#path(name)} is ${found}`, `give ${wanted}`)
  }
}
