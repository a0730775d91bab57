// What is in flight on a path, and how far a link that serves fairly or first-in-first-out would have got with it.
// The fair-share clock runs at 1/n while n transfers are in flight: a transfer of B bytes takes b0 B of it on a fair link.

import type { Lease } from './lease.js'

/** Longer lists are not walked in a prediction; the rest counts as if each was as large as the request. */
const MOST_WALKED = 64

export class PathLoad {
  inFlight = 0
  inFlightBytes = 0
  oldest: Lease | null = null
  #newest: Lease | null = null
  #fairUs = 0
  #atUs = 0
  /** Since when the transfer at the head is being served, if the link is a FIFO. */
  #headSinceUs = 0

  /** The fair-share clock, microseconds. */
  fairUs(nowUs: number): number {
    if (nowUs > this.#atUs) {
      if (this.inFlight > 0) this.#fairUs += (nowUs - this.#atUs) / this.inFlight
      this.#atUs = nowUs
    }
    return this.#fairUs
  }

  /** Bytes a FIFO still has to serve; `usPerByte` is what the path takes now. */
  fifoAhead(nowUs: number, usPerByte: number): number {
    if (this.oldest === null) return 0
    const served = Math.min(this.oldest.bytes, Math.max(0, nowUs - this.#headSinceUs) / usPerByte)
    return Math.max(0, this.inFlightBytes - served)
  }

  /** By how much the transfer at the head is behind what a FIFO would have made of it; negative while it is in time. */
  headLateUs(nowUs: number, usPerByte: number, fixedUs: number): number {
    if (this.oldest === null) return Number.NEGATIVE_INFINITY
    return nowUs - this.#headSinceUs - fixedUs - this.oldest.bytes * usPerByte
  }

  /** Bytes of others that a fair link serves before `bytes` more are through. */
  fairAhead(nowUs: number, usPerByte: number, bytes: number): number {
    if (this.oldest === null) return 0
    const clock = this.fairUs(nowUs)
    let ahead = 0
    let walked = 0
    for (let lease: Lease | null = this.oldest; lease !== null; lease = lease.newer) {
      if (++walked > MOST_WALKED) return ahead + (this.inFlight - MOST_WALKED) * bytes
      const left = lease.bytes - (clock - lease.fairStartUs) / usPerByte
      if (left > 0) ahead += Math.min(left, bytes)
    }
    return ahead
  }

  add(lease: Lease, nowUs: number): void {
    lease.fairStartUs = this.fairUs(nowUs)
    if (this.#newest === null) {
      this.oldest = lease
      this.#headSinceUs = nowUs
    } else {
      this.#newest.newer = lease
      lease.older = this.#newest
    }
    this.#newest = lease
    this.inFlight++
    this.inFlightBytes += lease.bytes
  }

  /** @returns how far the fair-share clock ran while the transfer was in flight */
  remove(lease: Lease, nowUs: number): number {
    const ranUs = this.fairUs(nowUs) - lease.fairStartUs
    if (lease.older === null) this.oldest = lease.newer
    else lease.older.newer = lease.newer
    if (lease.newer === null) this.#newest = lease.older
    else lease.newer.older = lease.older
    lease.older = null
    lease.newer = null
    this.inFlight--
    this.inFlightBytes -= lease.bytes
    this.#headSinceUs = nowUs
    return ranUs
  }
}
