// What doctor says about one thing: whether it is well, what was found, and what to do about it.

export interface Finding {
  /** Stable name, e.g. `limit.memlock`. */
  readonly name: string
  /** `ok`: nothing to do; `note`: works, with a limit worth knowing; `missing`: something that was asked for will not work. */
  readonly status: 'ok' | 'note' | 'missing'
  readonly found: string
  /** Null when there is nothing to do. */
  readonly remedy: string | null
}
