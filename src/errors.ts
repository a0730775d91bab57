// The one error type of the public face: a stable code for machines, facts as fields, a text that says what to do.

/** Which side a failure is charged to. Only `path` may hurt a path's health. */
export type Blame = 'none' | 'path' | 'peer' | 'pool' | 'local' | 'protocol' | 'cancelled'

/** Every code the library can raise, with whether trying again may help and who is usually to blame. */
export const SEAM_ERROR_CODES = {
  KVSEAM_INVALID_ARGUMENT: { retryable: false, blame: 'local' },
  KVSEAM_OUT_OF_BOUNDS: { retryable: false, blame: 'local' },
  KVSEAM_INVALID_DESCRIPTOR: { retryable: false, blame: 'local' },
  KVSEAM_CLOSED: { retryable: false, blame: 'local' },
  KVSEAM_STALE_REGION: { retryable: false, blame: 'peer' },
  KVSEAM_FOREIGN_REGION: { retryable: false, blame: 'local' },
  KVSEAM_REGION_BUSY: { retryable: true, blame: 'local' },
  KVSEAM_REGISTRATION_FAILED: { retryable: false, blame: 'local' },
  KVSEAM_NO_MEMORY: { retryable: true, blame: 'local' },
  KVSEAM_QUEUE_FULL: { retryable: true, blame: 'local' },
  KVSEAM_TIMEOUT: { retryable: true, blame: 'path' },
  KVSEAM_CANCELLED: { retryable: false, blame: 'cancelled' },
  KVSEAM_PEER_DOWN: { retryable: true, blame: 'peer' },
  KVSEAM_STALE_EPOCH: { retryable: true, blame: 'peer' },
  KVSEAM_TRANSFER_FAILED: { retryable: true, blame: 'path' },
  KVSEAM_INTEGRITY: { retryable: false, blame: 'path' },
  KVSEAM_METADATA_INVALID: { retryable: false, blame: 'protocol' },
  KVSEAM_INCOMPATIBLE: { retryable: false, blame: 'protocol' },
  KVSEAM_NOT_SUPPORTED: { retryable: false, blame: 'local' },
  KVSEAM_BACKEND_UNAVAILABLE: { retryable: false, blame: 'local' },
  KVSEAM_ADDON_MISSING: { retryable: false, blame: 'local' },
  KVSEAM_ADDON_MISMATCH: { retryable: false, blame: 'local' },
  KVSEAM_PERMIT_INVALID: { retryable: false, blame: 'local' },
  KVSEAM_NOT_ADMISSIBLE: { retryable: true, blame: 'pool' },
  KVSEAM_NO_PATH: { retryable: false, blame: 'local' },
  KVSEAM_UNKNOWN_WORKLOAD: { retryable: false, blame: 'local' },
  KVSEAM_CONFIG_INVALID: { retryable: false, blame: 'local' },
  KVSEAM_FAULTS_SYNTAX: { retryable: false, blame: 'local' },
  KVSEAM_FAULTS_REFUSED: { retryable: false, blame: 'local' },
  KVSEAM_TRACE_INVALID: { retryable: false, blame: 'local' },
  KVSEAM_VECTORS_INVALID: { retryable: false, blame: 'local' },
  KVSEAM_RECORD_LOG: { retryable: true, blame: 'local' },
  KVSEAM_USAGE: { retryable: false, blame: 'local' },
} as const satisfies Record<string, { retryable: boolean; blame: Blame }>

export type SeamErrorCode = keyof typeof SEAM_ERROR_CODES

/** Facts that explain the error; plain data, so that a log line can carry them. */
export type SeamErrorFacts = Readonly<Record<string, unknown>>

export class SeamError extends Error {
  override readonly name = 'SeamError'
  readonly code: SeamErrorCode
  readonly retryable: boolean
  readonly blame: Blame
  readonly facts: SeamErrorFacts

  /**
   * @param code stable identifier; callers branch on this, never on the text
   * @param facts the field, the value and whatever else a log line should show
   * @param message what happened and what to do about it
   */
  constructor(
    code: SeamErrorCode,
    facts: SeamErrorFacts,
    message: string,
    options?: { cause?: unknown; blame?: Blame },
  ) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause })
    const defaults = SEAM_ERROR_CODES[code]
    this.code = code
    this.retryable = defaults.retryable
    this.blame = options?.blame ?? defaults.blame
    this.facts = facts
  }

  /** The decision record, where a decision is what failed. */
  get decision(): unknown {
    return this.facts['decision']
  }

  /** True for a SeamError of any copy of this package in the process, optionally of one code. */
  static is(error: unknown, code?: SeamErrorCode): error is SeamError {
    return (
      error instanceof Error &&
      error.name === 'SeamError' &&
      'code' in error &&
      (code === undefined || error.code === code)
    )
  }
}
