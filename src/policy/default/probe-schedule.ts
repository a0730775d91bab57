// Which measurements are wanted, within a budget of probes and bytes. Payload is the better evidence: a path that carries
// some is not probed, except to clear a candidate or to end a quarantine.
//   a transfer hangs   at once, small
//   candidate     at once, one after the other (every second one large)
//   quarantined   after the hold, one after the other, small and large in turn
//   degraded, or believed to add a delay: without a sample for half a second, small and large in turn, since nobody takes it and
//                 nothing else can prove it; for probeIdleMs while probes see nothing wrong
//   other states  without a sample for probeIdleMs; every fourth one large

import type { ProbeDue } from '../policy.js'
import type { PathRecord } from './path.js'
import type { Rules } from './rules.js'

/** Pause between the probes that clear a candidate or end a quarantine. */
const PROOF_PAUSE_US = 200_000
const DEGRADED_PAUSE_US = 500_000
/** Ideal time of a large probe in noise floors, below which a time says nothing of the pace. */
const LARGE_FLOORS = 2
const MOST_SAVED_SECONDS = 1

export class ProbeSchedule {
  #tokens = 0
  #bytes = 0
  #atUs = -1

  /** Adds what is due on `path`, if anything. */
  consider(path: PathRecord, nowUs: number, rules: Rules, out: ProbeDue[]): void {
    if (path.probeUntilUs > nowUs) return
    const due = this.#due(path, nowUs, rules)
    if (due === null || !this.#pay(path, due.bytes, nowUs, rules)) return
    path.probesSent++
    path.probedUs = nowUs
    path.probedBytes = path.load.inFlightBytes
    path.probeUntilUs = nowUs + due.timeoutUs
    out.push(due)
  }

  #due(path: PathRecord, nowUs: number, rules: Rules): ProbeDue | null {
    const { settings } = rules
    const large = path.probesSent % 2 === 1
    const proofDue = nowUs - path.probedUs >= PROOF_PAUSE_US || path.probedUs < 0
    switch (path.state) {
      case 'quarantine_candidate':
        return proofDue ? probe(path, large, 'verify', rules) : null
      case 'quarantined':
        if (nowUs < path.holdUntilUs || path.quarantine === 'corrupt') return null
        return proofDue ? probe(path, large, 'recover', rules) : null
      default: {
        if (path.stalled > 0) return proofDue ? probe(path, false, 'verify', rules) : null
        const lastUs = Math.max(path.lastSampleUs, path.probedUs)
        const degraded = path.state === 'degraded_usable' || path.state === 'degraded_restricted'
        // One soon, and more only if probes see what is wrong: those that see nothing must not clear it the sooner.
        const soon = (degraded || path.delayed) && (path.probesSee || path.cleanProbes === 0)
        const idleUs = settings.probeIdleMs * 1000
        if (lastUs >= 0 && nowUs - lastUs < (soon ? Math.min(DEGRADED_PAUSE_US, idleUs) : idleUs)) return null
        // What is in flight will be evidence soon enough.
        if (path.load.inFlight > 0 && lastUs >= 0) return null
        const reason = path.state === 'restored' ? 'canary' : path.state === 'unknown' ? 'unknown' : 'idle'
        return probe(path, degraded || path.delayed ? large : path.probesSent % 4 === 3, reason, rules)
      }
    }
  }

  #pay(path: PathRecord, bytes: number, nowUs: number, rules: Rules): boolean {
    const { settings } = rules
    if (this.#atUs < 0) {
      this.#atUs = nowUs
      this.#tokens = settings.probesPerSecond * 1000 * MOST_SAVED_SECONDS
    }
    // Both budgets in thousandths, so that often asking loses nothing.
    const elapsedUs = nowUs - this.#atUs
    this.#atUs = nowUs
    this.#tokens = Math.min(
      settings.probesPerSecond * 1000,
      this.#tokens + (settings.probesPerSecond * elapsedUs) / 1000,
    )
    const bytesPerUs = settings.probeByteShare / path.rate.usPerByte
    const mostBytes = Math.max(settings.probeLargeBytes * 2, bytesPerUs * 1_000_000)
    this.#bytes = Math.min(mostBytes, this.#bytes + bytesPerUs * elapsedUs)
    if (this.#tokens < 1000 || (bytes > settings.probeSmallBytes && this.#bytes < bytes)) return false
    this.#tokens -= 1000
    if (bytes > settings.probeSmallBytes) this.#bytes -= bytes
    return true
  }
}

function probe(path: PathRecord, large: boolean, reason: ProbeDue['reason'], { settings }: Rules): ProbeDue {
  const enoughBytes = Math.ceil((LARGE_FLOORS * settings.noiseFloorUs) / path.rate.usPerByte)
  return {
    path: path.index,
    // On a slow path fewer bytes show the pace as well, and the budget pays for them sooner.
    bytes: large
      ? Math.max(settings.probeSmallBytes, Math.min(settings.probeLargeBytes, enoughBytes))
      : settings.probeSmallBytes,
    timeoutUs: settings.probeTimeoutMs * 1000,
    reason,
  }
}
