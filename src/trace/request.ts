// What a request trace is made of: when a request came, how long its prompt was, how long its answer.

export interface TraceRequest {
  /** Milliseconds since the trace's first request; never less than the request before. May be fractional. */
  readonly atMs: number
  /** Prompt tokens, at least 1. */
  readonly inputTokens: number
  /** Answer tokens, at least 0. */
  readonly outputTokens: number
}

/** File formats that can be read. */
export type TraceFormat = 'mooncake' | 'azure'
