// What an outcome means: who it is charged to, what slowdown it shows, which windows it enters.
//   ok                            slowdown, and a sample of the path's rate while that is being learned
//   timeout, transport            a failure of the path; a timeout only if the path had time enough, else it is merely slow
//   corrupt, link_down            quarantine at once
//   a transfer that hangs          probed at once: no answer, and the path is quarantined; else the transfer is written off
//   remote_busy, expired, local, cancelled, telemetry_missing    nothing about the path
// Small transfers and probes of an idle path show its fixed cost; large probes also the newest slowdown, never the window.

import type { Sample, Transition } from '../policy.js'
import { log2Of, ONE } from './fixed-point.js'
import type { Lease } from './lease.js'
import type { PathRecord } from './path.js'
import type { PathMachine } from './path-machine.js'
import type { Rules } from './rules.js'
import { idealUsOf, observedUsPerByte, paceOf, predictedUs, slowdownOf } from './service.js'

/** A timeout is a failure when the path had this many times what it should have needed; before that it is load. */
const TIME_ENOUGH = 4 * ONE
/** A probe is clean up to this slowdown; noise and the floor are off already. */
const CLEAN_PROBE = 2 * ONE
/** The oldest transfer in flight counts as evidence from this slowdown on. */
const STALL_FROM = 8 * ONE
/** A transfer tells the disciplines apart when their predictions differ by this part of the longer one. */
const APART = 8
const NO_TRANSITIONS: readonly Transition[] = Object.freeze([])

export class Evidence {
  readonly #machine: PathMachine
  rules: Rules

  constructor(machine: PathMachine, rules: Rules) {
    this.#machine = machine
    this.rules = rules
  }

  /** A transfer starts: what its end will be held against. */
  begin(lease: Lease, nowUs: number): void {
    const { path, bytes } = lease
    const { load } = path
    const view = path.view(nowUs, this.rules)
    const usPerByte = (view.usPerByte * view.expected) / ONE
    lease.startUs = nowUs
    lease.aheadBytes = load.fifoAhead(nowUs, usPerByte)
    lease.fairUs = predictedUs(view, bytes, load.fairAhead(nowUs, usPerByte, bytes), 0)
    lease.fifoUs = predictedUs(view, bytes, lease.aheadBytes, 0)
    load.add(lease, nowUs)
  }

  observe(path: PathRecord, sample: Sample, lease: Lease | undefined, nowUs: number): readonly Transition[] {
    if (sample.leaseId !== 0) {
      // Double, late or misattributed: what it said has been counted, or nobody can tell what it is about.
      if (lease === undefined || lease.settled || lease.path !== path) return NO_TRANSITIONS
    }
    const idle = path.load.inFlight === (lease === undefined || lease.writtenOff ? 0 : 1)
    let fairUs = sample.totalUs
    if (lease !== undefined) {
      lease.settled = true
      if (!lease.writtenOff) fairUs = path.load.remove(lease, nowUs)
    }
    switch (sample.outcome) {
      case 'remote_busy':
      case 'expired':
      case 'local':
      case 'cancelled':
      case 'telemetry_missing':
        return NO_TRANSITIONS
      default:
        break
    }
    const out: Transition[] = []
    if (sample.source === 'probe') this.#probe(path, sample, idle, nowUs, out)
    else this.#payload(path, sample, lease, fairUs, idle, nowUs, out)
    return out
  }

  /** Once a tick. */
  judge(path: PathRecord, nowUs: number, out: Transition[]): void {
    if (path.probeUntilUs > 0 && path.probeUntilUs < nowUs) {
      // Nobody answered for it: whoever runs the probes is at fault, not the path.
      path.probeUntilUs = 0
    }
    path.window(nowUs, this.rules.windowUs)
    const stalled = this.rules.stall ? this.#stalled(path, nowUs) : 0
    const calm = path.state === 'healthy' && path.level === 0 && stalled === 0 && path.stalled === 0
    // Most paths of most ticks: nothing new, nothing wrong.
    if (calm && !path.dirty && nowUs - path.lastSampleUs <= this.rules.staleUs) return
    const view = path.renew(nowUs, this.rules, stalled)
    this.#machine.judge(path, view, stalled, nowUs, out)
  }

  #payload(
    path: PathRecord,
    sample: Sample,
    lease: Lease | undefined,
    fairUs: number,
    idle: boolean,
    nowUs: number,
    out: Transition[],
  ): void {
    const window = path.window(nowUs, this.rules.windowUs)
    path.dirty = true
    if (sample.outcome === 'corrupt' || sample.outcome === 'link_down') {
      this.#sampled(path, nowUs, true)
      window.fail(null)
      this.#machine.failed(path, sample.outcome, nowUs, out)
      return
    }
    const judged = lease ?? { bytes: sample.bytes, aheadBytes: path.load.fifoAhead(nowUs, path.rate.usPerByte) }
    const slowdown = path.rate.known ? slowdownOf(path, judged, sample.totalUs, fairUs, this.rules) : null
    if (sample.outcome !== 'ok') {
      if (sample.selfDelayed) return
      this.#sampled(path, nowUs, true)
      if (sample.outcome === 'timeout') {
        if (slowdown === null) {
          // Nobody knows what it should have needed. A path that has never delivered is failing, one that has is loaded.
          if (!path.delivered) this.#machine.failed(path, 'failures', nowUs, out)
          return
        }
        if (slowdown < TIME_ENOUGH) {
          window.succeed(slowdown)
          path.newest().add(slowdown)
          this.#delay(path, judged, sample.totalUs, fairUs, nowUs)
          return
        }
      }
      // A failure is never fast: only a timeout, which waited, shows how slow the path is.
      window.fail(sample.outcome === 'timeout' ? slowdown : null)
      this.#machine.failed(path, 'failures', nowUs, out)
      return
    }
    this.#sampled(path, nowUs, true)
    if (sample.selfDelayed) {
      window.succeed(null)
      this.#machine.payloadArrived(path, null, nowUs, out)
      return
    }
    path.delivered = true
    if (lease !== undefined) this.#learn(path, lease, sample.totalUs, fairUs, idle)
    window.succeed(slowdown)
    if (slowdown !== null) {
      // Too short to tell its pace: it was as it should be, or so slow that noise is no excuse.
      path.newest().add(paceOf(path, judged, sample.totalUs, fairUs, this.rules) ?? Math.max(ONE, slowdown))
      this.#delay(path, judged, sample.totalUs, fairUs, nowUs)
    }
    this.#machine.payloadArrived(path, slowdown, nowUs, out)
  }

  #delay(
    path: PathRecord,
    judged: Pick<Lease, 'bytes' | 'aheadBytes'>,
    totalUs: number,
    fairUs: number,
    nowUs: number,
  ): void {
    if (!this.rules.addedDelay) return
    const movedUs = Math.max(0, totalUs - path.rate.fixedUs)
    const idealUs = idealUsOf(path, judged, totalUs, fairUs, this.rules)
    path.added().add(movedUs, idealUs, path.newest().median(), this.rules.settings.noiseUs, nowUs)
  }

  /** A probe that is late is evidence of a delay; one that is not says nothing of payload, which may fare worse. */
  #probedDelay(path: PathRecord, { bytes, totalUs }: Sample, tells: boolean, nowUs: number): void {
    if (!this.rules.addedDelay || !tells || !path.rate.known) return
    const { fixedUs, usPerByte } = path.rate
    const { noiseUs } = this.rules.settings
    // All that was in flight may have been ahead of it.
    const idealUs = usPerByte * (Math.max(path.probedBytes, path.load.inFlightBytes) + bytes)
    if (totalUs - fixedUs - idealUs <= noiseUs) return
    path.added().add(totalUs - fixedUs, idealUs, path.newest().median(), noiseUs, nowUs)
  }

  #learn(path: PathRecord, lease: Lease, totalUs: number, fairUs: number, idle: boolean): void {
    const { settings } = this.rules
    // The fair-share clock ran all the time: nobody else was there.
    const alone = lease.aheadBytes === 0 && fairUs >= totalUs * 0.99
    if (!path.rate.known) {
      const usPerByte = observedUsPerByte(path, lease, totalUs, fairUs)
      if (usPerByte !== null && usPerByte > 0) path.rate.learn(usPerByte, alone, settings.learnSamples, path.peers)
    } else if (alone) {
      const pace = paceOf(path, lease, totalUs, fairUs, this.rules)
      // What was measured against the old rate means nothing against the new one.
      if (pace !== null && path.rate.moved(pace / ONE)) path.forgetWindow()
    }
    if (idle && path.rate.usPerByte * lease.bytes < 4 * path.rate.fixedUs) path.rate.fixedCost(totalUs)
    // Where both disciplines say the same, as for a transfer that was alone, noise would decide between them.
    if (Math.abs(lease.fairUs - lease.fifoUs) * APART < Math.max(lease.fairUs, lease.fifoUs)) return
    const actual = Math.max(1, Math.round(totalUs))
    path.peers.judgeDiscipline(logError(actual, lease.fairUs), logError(actual, lease.fifoUs))
  }

  #probe(path: PathRecord, sample: Sample, idle: boolean, nowUs: number, out: Transition[]): void {
    path.probeUntilUs = 0
    if (sample.outcome === 'corrupt' || sample.outcome === 'link_down') {
      this.#machine.failed(path, sample.outcome, nowUs, out)
      return
    }
    if (sample.selfDelayed) return
    this.#sampled(path, nowUs, false)
    path.dirty = true
    if (sample.outcome !== 'ok') {
      this.#machine.probed(path, false, idle, nowUs, out)
      if (path.stalled > 0 && path.state !== 'quarantined' && this.rules.on('hard-evidence')) {
        this.#machine.stalled(path, path.stalled, nowUs, out)
      } else if (path.state !== 'quarantined' && path.state !== 'quarantine_candidate') {
        path.window(nowUs, this.rules.windowUs).fail(null)
        this.#machine.failed(path, 'failures', nowUs, out)
      }
      return
    }
    const small = sample.bytes <= this.rules.settings.probeSmallBytes
    if (idle && small) path.rate.fixedCost(sample.totalUs)
    const ahead = { bytes: sample.bytes, aheadBytes: path.load.inFlightBytes }
    const slowdown = slowdownOf(path, ahead, sample.totalUs, sample.totalUs, this.rules)
    if (idle && !small && path.rate.known) path.newest().add(slowdown)
    this.#probedDelay(path, sample, idle || small, nowUs)
    if (path.state !== 'quarantined' && path.state !== 'quarantine_candidate') path.failuresInARow = 0
    this.#machine.probed(path, slowdown <= CLEAN_PROBE, idle, nowUs, out)
    if (path.stalled > 0 && slowdown <= CLEAN_PROBE) this.#writeOff(path, nowUs)
  }

  /** The path answers, so what hangs on it hangs alone: it must not keep the others waiting. */
  #writeOff(path: PathRecord, nowUs: number): void {
    while (path.load.oldest !== null && this.#stalled(path, nowUs) > 0) {
      const lease = path.load.oldest
      lease.writtenOff = true
      path.load.remove(lease, nowUs)
    }
    path.stalled = 0
    path.dirty = true
  }

  #sampled(path: PathRecord, nowUs: number, payload: boolean): void {
    path.lastSampleUs = nowUs
    if (payload) path.evidence.add(1, nowUs, this.rules.confidenceHalfLifeUs)
  }

  /** Slowdown so far of the oldest transfer in flight: a hung path is seen without a completion. 0 when none counts. */
  #stalled(path: PathRecord, nowUs: number): number {
    const { oldest } = path.load
    if (oldest === null || !path.rate.known) return 0
    const ageUs = nowUs - oldest.startUs
    if (ageUs < this.rules.settings.stallAgeMs * 1000) return 0
    const fairUs = path.load.fairUs(nowUs) - oldest.fairStartUs
    const slowdown = slowdownOf(path, oldest, ageUs, fairUs, this.rules)
    return slowdown < STALL_FROM ? 0 : slowdown
  }
}

/** |log2(actual / predicted)| in 1/256. */
function logError(actualUs: number, predicted: number): number {
  const most = 0x7fffffff
  return Math.abs(log2Of(Math.min(most, actualUs)) - log2Of(Math.min(most, Math.max(1, predicted))))
}
