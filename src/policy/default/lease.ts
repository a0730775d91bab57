// One granted transfer: what it holds until it is quiesced or expires, and what is remembered from its start so that its
// slowdown can be told when it settles. Also a link of its path's list of transfers in flight, oldest first.

import type { PathRecord } from './path.js'

export interface Lease {
  readonly id: number
  readonly path: PathRecord
  readonly bytes: number
  /** Index of the reservation its session counts under. */
  readonly share: number
  readonly expiresUs: number
  /** Place in the expiry heap. */
  heapIndex: number
  startUs: number
  /** The path's fair-share clock at the start. */
  fairStartUs: number
  /** Bytes ahead at the start, as a FIFO would serve them. */
  aheadBytes: number
  /** Predicted durations of the two disciplines at the start, microseconds, at the slowdown of that moment. */
  fairUs: number
  fifoUs: number
  /** No longer moving bytes, as far as the policy was told. */
  settled: boolean
  /** Hangs on a path that works: it counts as in flight no more. */
  writtenOff: boolean
  older: Lease | null
  newer: Lease | null
}
