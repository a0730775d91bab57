// Baseline without any notion of health: one transfer at a time on a path, the rest wait, earliest deadline first; a request that
// not even an idle path could serve in time is given up. Shows how much of a lead is order, and how much is health.

import type { PolicyDecision, PolicyRequest, QueueAnswer, TickResult } from '../../policy/policy.js'
import { NOTHING_HAPPENED } from '../../policy/policy.js'
import { PATH_BYTES_PER_US, START_US } from '../scenario.js'
import { Baseline, type KnownPath } from './baseline.js'

interface Waiting {
  readonly ticket: number
  readonly request: PolicyRequest
}

export class DeadlineQueue extends Baseline {
  readonly profile = 'deadline-queue'
  readonly #waiting: Waiting[] = []
  #lastTicket = 0

  protected choose(open: readonly KnownPath[]): KnownPath | null {
    return open.find((path) => path.sessions === 0) ?? null
  }

  override decide(request: PolicyRequest, nowUs: number): PolicyDecision {
    const decision = super.decide(request, nowUs)
    if (decision.path >= 0) return decision
    const ticket = ++this.#lastTicket
    const later = this.#waiting.findIndex((each) => dueUs(each.request) > dueUs(request))
    this.#waiting.splice(later < 0 ? this.#waiting.length : later, 0, { ticket, request })
    return { ...decision, verdict: 'queued', outcome: 'queued', ticket }
  }

  override tick(nowUs: number): TickResult {
    const granted: QueueAnswer[] = []
    const abandoned: QueueAnswer[] = []
    for (const { ticket, request } of [...this.#waiting]) {
      const late = latestStartUs(request) < nowUs
      const decision = super.decide(late ? { ...request, candidates: [] } : request, nowUs)
      if (!late && decision.path < 0) continue
      this.#waiting.splice(
        this.#waiting.findIndex((each) => each.ticket === ticket),
        1,
      )
      ;(late ? abandoned : granted).push({ ticket, request, decision })
    }
    return { ...NOTHING_HAPPENED, granted, abandoned }
  }

  override nextTickUs(): number {
    return Math.min(...this.#waiting.map(({ request }) => latestStartUs(request) + 1))
  }
}

function dueUs({ deadlineUs }: PolicyRequest): number {
  return deadlineUs ?? Number.POSITIVE_INFINITY
}

function latestStartUs(request: PolicyRequest): number {
  return dueUs(request) - START_US - Math.ceil(request.bytes / PATH_BYTES_PER_US)
}
