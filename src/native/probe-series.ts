// The probe series that an agent has under way: each is ordered once and ends once, by an event from the progress thread.

import type { SeamError } from '../errors.js'
import type { Binding, NativeProbeEnd } from './binding.js'
import type { Completions } from './completions.js'

/** One series, as the addon takes it; the permit must cover `bytes` times `count` + 1. */
export interface ProbeOrder {
  readonly permit: number
  readonly path: number
  /** A number of PROBE_KIND. */
  readonly kind: number
  /** The path leads to this agent. */
  readonly inbound: boolean
  readonly bytes: number
  readonly count: number
  readonly window: number
  /** Of one operation. */
  readonly timeoutNs: number
  /** Of the whole series. */
  readonly totalNs: number
}

interface Waiter {
  resolve(end: NativeProbeEnd): void
  reject(error: SeamError): void
}

export class ProbeSeriesTable {
  readonly #binding: Binding
  readonly #agent: number
  readonly #completions: Completions
  readonly #waiting = new Map<number, Waiter>()

  constructor(binding: Binding, agent: number, completions: Completions) {
    this.#binding = binding
    this.#agent = agent
    this.#completions = completions
  }

  /**
   * Starts a series. `ended` resolves however it ended; it rejects only when the agent went away without an answer.
   * @throws what the addon refuses, KVSEAM_PERMIT_INVALID among it; nothing was sent then
   */
  start(order: ProbeOrder): { ended: Promise<NativeProbeEnd>; cancel: () => void } {
    const series = this.#binding.probe(
      this.#agent,
      order.permit,
      order.path,
      order.kind,
      order.inbound,
      order.bytes,
      order.count,
      order.window,
      order.timeoutNs,
      order.totalNs,
    )
    const ended = new Promise<NativeProbeEnd>((resolve, reject) => this.#waiting.set(series, { resolve, reject }))
    this.#completions.hold()
    return {
      ended,
      cancel: () => {
        if (this.#waiting.has(series)) this.#binding.cancelProbe(this.#agent, series)
      },
    }
  }

  deliver(end: NativeProbeEnd): void {
    const waiter = this.#waiting.get(end.series)
    if (waiter === undefined) return
    this.#waiting.delete(end.series)
    this.#completions.letGo()
    waiter.resolve(end)
  }

  /** The agent is gone; a thread that is stuck inside its backend has answered nothing. */
  close(error: SeamError): void {
    for (const waiter of this.#waiting.values()) waiter.reject(error)
    this.#waiting.clear()
  }
}
