// Holds requests that only wait for capacity and hands them out, the earliest deadline first, as paths come free. Keeping the
// paths nearly empty and the order here is worth more than any other rule (docs/default-policy.md, dispatch).

import type { PolicyRequest, QueueAnswer } from '../policy.js'
import { FAILS, WAITABLE } from './checks.js'
import { DefaultDecision } from './decision.js'
import { headLeftUs, type Judgement } from './judgement.js'
import type { PathRecord } from './path.js'
import { WaitQueue } from './wait-queue.js'

export class Dispatcher {
  readonly #queue = new WaitQueue()
  /** Something may have come free since the last pass. */
  #awake = false
  /** When a path that is nearly through should take the next request. */
  #nextGrantUs = Number.POSITIVE_INFINITY
  /** Number of the newest pass over the queue. */
  #passes = 0

  wake(): void {
    this.#awake = true
  }

  withdraw(ticket: number): boolean {
    return this.#queue.remove(ticket) !== undefined
  }

  /** Queues a request that only capacity holds up and that would still be in time; null when it cannot wait. */
  queue(judgement: Judgement, take: boolean): DefaultDecision | null {
    const { request, demand, nowUs, rules } = judgement
    if (!rules.on('queue') || !this.#queue.hasRoom(request.bytes, rules.settings)) return null
    const slackUs = slackOf(judgement)
    if (slackUs < 0) return null
    if (!take) return new DefaultDecision('queued', 'queued', judgement)
    const ticket = this.#queue.nextTicket()
    // From now on its deadline is a fixed time, also where it came from the SLA.
    const deadlineUs = nowUs + demand.remainingUs
    this.#queue.add({
      ticket,
      request: { ...request, deadlineUs },
      priority: demand.limits.priority,
      deadlineUs,
      latestStartUs: nowUs + slackUs,
    })
    for (const { dispatchWaitUs } of judgement.candidates) {
      if (dispatchWaitUs > 0) this.#nextGrantUs = Math.min(this.#nextGrantUs, nowUs + dispatchWaitUs)
    }
    return new DefaultDecision('queued', 'queued', judgement, { ticket })
  }

  /** When serve() next has something to do; Infinity while nothing waits. */
  nextUs(nowUs: number): number {
    if (this.#queue.waiting.length === 0) return Number.POSITIVE_INFINITY
    return this.#awake ? nowUs : Math.min(this.#nextGrantUs, this.#queue.firstLatestStartUs() + 1)
  }

  /** @param answer judges a waiting request again and takes capacity when it is admitted */
  serve(
    nowUs: number,
    paths: readonly PathRecord[],
    answer: (request: PolicyRequest) => DefaultDecision,
    granted: QueueAnswer[],
    abandoned: QueueAnswer[],
  ): void {
    const due = this.#awake || nowUs >= this.#nextGrantUs
    this.#awake = false
    if (this.#queue.waiting.length === 0) return
    if (due) {
      this.#nextGrantUs = Number.POSITIVE_INFINITY
      this.#passes++
    }
    for (const entry of [...this.#queue.waiting]) {
      const { ticket, request } = entry
      const late = nowUs > entry.latestStartUs
      if (!late && (!due || this.#allBusy(request, paths))) continue
      const decision = answer(request)
      if (decision.verdict === 'admitted') {
        this.#queue.remove(ticket)
        granted.push({ ticket, request, decision })
        continue
      }
      const slackUs = slackOf(decision.judgement)
      if (slackUs < 0) {
        this.#queue.remove(ticket)
        abandoned.push({ ticket, request, decision })
        continue
      }
      entry.latestStartUs = nowUs + slackUs
      if (due) this.#noteBusy(decision.judgement)
    }
  }

  /** Every path of the request was found busy for an earlier one that was no larger: it need not be judged. */
  #allBusy({ candidates, bytes }: PolicyRequest, paths: readonly PathRecord[]): boolean {
    for (const index of candidates) {
      const path = paths[index]!
      if (path.busyAt !== this.#passes || path.busyFromBytes > bytes) return false
    }
    return true
  }

  #noteBusy({ candidates, demand, nowUs }: Judgement): void {
    for (const { path, fails, dispatchWaitUs } of candidates) {
      if ((fails & (FAILS.dispatch | FAILS.sessions)) === 0) continue
      path.busyFromBytes = path.busyAt === this.#passes ? Math.min(path.busyFromBytes, demand.bytes) : demand.bytes
      path.busyAt = this.#passes
      if ((fails & FAILS.dispatch) !== 0) this.#nextGrantUs = Math.min(this.#nextGrantUs, nowUs + dispatchWaitUs)
    }
  }
}

/** How long the request can still wait for the best path that only lacks capacity; negative when it cannot. */
function slackOf({ candidates, demand, nowUs }: Judgement): number {
  let slackUs = -1
  for (const { path, view, fails, p50Us, aheadUs } of candidates) {
    if (fails === 0 || (fails & ~WAITABLE) !== 0) continue
    const ownUs = demand.budgetUs - (p50Us - aheadUs)
    // Sessions come back when a transfer ends; work left on the path is seen by the dispatch check.
    if ((fails & FAILS.dispatch) === 0 && headLeftUs(path, view, nowUs) > ownUs) continue
    if (ownUs > slackUs) slackUs = ownUs
  }
  return slackUs
}
