// Requests that only wait for capacity: the earliest deadline first, whatever the class (an early deadline is what a class is
// for); of equal ones the tier, then the order of coming.
// A request leaves when it is granted, withdrawn, or can no longer be met.

import type { PolicyRequest } from '../policy.js'
import type { PolicySettings } from '../settings.js'

export interface Waiting {
  readonly ticket: number
  readonly request: PolicyRequest
  readonly priority: number
  readonly deadlineUs: number
  /** Starting after this it would be late on the best path; looked at again then. */
  latestStartUs: number
}

export class WaitQueue {
  /** In the order of service. */
  readonly waiting: Waiting[] = []
  #bytes = 0
  #lastTicket = 0

  nextTicket(): number {
    this.#lastTicket++
    return this.#lastTicket
  }

  hasRoom(bytes: number, settings: PolicySettings): boolean {
    return this.waiting.length < settings.queueMost && this.#bytes + bytes <= settings.queueBytesMost
  }

  /** When the first one has to be given up; Infinity when none waits. */
  firstLatestStartUs(): number {
    let first = Number.POSITIVE_INFINITY
    for (const each of this.waiting) if (each.latestStartUs < first) first = each.latestStartUs
    return first
  }

  add(entry: Waiting): void {
    let low = 0
    let high = this.waiting.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (servedBefore(entry, this.waiting[middle]!)) high = middle
      else low = middle + 1
    }
    this.waiting.splice(low, 0, entry)
    this.#bytes += entry.request.bytes
  }

  remove(ticket: number): Waiting | undefined {
    const place = this.waiting.findIndex((each) => each.ticket === ticket)
    if (place < 0) return undefined
    const [entry] = this.waiting.splice(place, 1)
    this.#bytes -= entry!.request.bytes
    return entry
  }
}

function servedBefore(a: Waiting, b: Waiting): boolean {
  if (a.deadlineUs !== b.deadlineUs) return a.deadlineUs < b.deadlineUs
  return a.priority < b.priority
}
