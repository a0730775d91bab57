// How a path's state moves. Soft evidence (slow) steers: it reaches degraded_restricted and no further. Only failures
// quarantine, and quarantine ends by proof: clean probes, then canary stages on real payload.
//
//   from                to                  when
//   unknown             healthy             minSamples clean, at least three of payload
//   healthy             unknown             no sample for staleMs
//   unknown, healthy    degraded_usable     level >= 1 for two ticks
//   up to usable        degraded_restricted level >= 2 for two ticks
//   all but quarantined quarantine_candidate level 3, half of the window failed, confidence >= .4, and it does no harm
//   any                 quarantined         failures in a row, corrupt bytes, link down, a transfer hangs and a probe fails
//   candidate           degraded_restricted three clean probes
//   candidate           quarantined         two bad probes, or not cleared in time
//   quarantined         restored(0)         hold over and enough clean probes in a row
//   restored(s)         restored(s+1)       {3, 6, 10}[s] clean payloads and canaryDwellMs x 2^flaps
//   restored(2)         healthy             stage passed
//   restored            quarantined         more than a third fails; after a quarantine also slow payload (one at stage 0, else two)
//   restored            degraded_usable     level >= 1 at stage >= 1
//   degraded_restricted degraded_usable     below its lower threshold for downTicks, on samples, or on two clean probes
//   degraded_usable     restored(2)         the same
//   degraded            restored(2)         nine clean payloads in a row and none failed in the window
//   degraded            restored(0)         clean probes in a row likewise: where nobody takes it, nothing else proves it

import type { PathState, Transition } from '../policy.js'
import { ONE } from './fixed-point.js'
import { PENALTY } from './flap-penalty.js'
import type { PathRecord, PathView, QuarantineCause } from './path.js'
import type { RiskGroups } from './risk-groups.js'
import type { Rules } from './rules.js'

export const LEGAL: Readonly<Record<PathState, readonly PathState[]>> = {
  unknown: ['healthy', 'degraded_usable', 'degraded_restricted', 'quarantine_candidate', 'quarantined'],
  healthy: ['unknown', 'degraded_usable', 'degraded_restricted', 'quarantine_candidate', 'quarantined'],
  degraded_usable: ['restored', 'degraded_restricted', 'quarantine_candidate', 'quarantined'],
  degraded_restricted: ['restored', 'degraded_usable', 'quarantine_candidate', 'quarantined'],
  quarantine_candidate: ['degraded_restricted', 'quarantined'],
  quarantined: ['restored'],
  restored: ['healthy', 'degraded_usable', 'quarantine_candidate', 'quarantined'],
}

const CANARY_PAYLOADS = [3, 6, 10] as const
const LAST_STAGE = 2
/** Transfers a stage lets into flight at once: what a path that only seems recovered can take with it. */
export const CANARY_IN_FLIGHT = [1, 2, 4] as const
const CLEAR_PROBES = 3
const BAD_PROBES = 2
const UP_TICKS = 2
const PAYLOADS_TO_HEALTHY = 3
/** In a row: one start in five late passes for clean once in eight. */
const PAYLOADS_TO_CLEAR = 9
const CANDIDATE_CONFIDENCE = 0.4
/** A payload is clean up to this slowdown against its class, and bad from that one. */
const CLEAN_AT = 1.5 * ONE
const BAD_AT = 2.5 * ONE

const WORSE: Readonly<Record<PathState, number>> = {
  healthy: 0,
  unknown: 0,
  restored: 0,
  degraded_usable: 1,
  degraded_restricted: 2,
  quarantine_candidate: 3,
  quarantined: 4,
}

function isDegraded(state: PathState): boolean {
  return state === 'degraded_usable' || state === 'degraded_restricted'
}

export class PathMachine {
  readonly #groups: RiskGroups
  rules: Rules

  constructor(groups: RiskGroups, rules: Rules) {
    this.#groups = groups
    this.rules = rules
  }

  /** A payload arrived. @param slowdown null while the path's rate is not known yet */
  payloadArrived(path: PathRecord, slowdown: number | null, nowUs: number, out: Transition[]): void {
    path.failuresInARow = 0
    path.canaryArrived++
    if (slowdown === null) {
      path.cleanPayloads++
      return
    }
    const relative = (slowdown * ONE) / (this.rules.commonMode ? path.peers.common : ONE)
    const degraded = isDegraded(path.state)
    if (relative <= CLEAN_AT) {
      path.cleanPayloads++
      path.penalty.clean(nowUs, this.rules.settings)
      if (degraded) this.#clear(path, nowUs, out)
    } else if (degraded) {
      path.cleanPayloads = 0
      path.cleanProbes = 0
    } else if (relative >= BAD_AT && path.state === 'restored') {
      path.badPayloads++
      const most = path.stage === 0 ? 1 : 2
      if (path.quarantine !== null && path.badPayloads >= most) this.#quarantine(path, 'canary', slowdown, nowUs, out)
    }
    if (path.state === 'restored') this.#advanceCanary(path, nowUs, out)
  }

  /** So many clean payloads in a row say more than what the window still holds of before. A path that loses some has its window to clear. */
  #clear(path: PathRecord, nowUs: number, out: Transition[]): void {
    if (path.cleanPayloads < PAYLOADS_TO_CLEAR || path.windowErrors().failed > 0) return
    const figures = { cleanPayloads: path.cleanPayloads, penalty: this.#penaltyOf(path, nowUs) }
    path.forgetWindow()
    this.#restoreAt(LAST_STAGE, path, nowUs)
    this.#move(path, 'restored', 'payloads_clean', figures, nowUs, out)
  }

  /** A failure charged to the path. */
  failed(path: PathRecord, cause: 'failures' | 'corrupt' | 'link_down', nowUs: number, out: Transition[]): void {
    path.failuresInARow++
    if (path.state !== 'restored') path.cleanPayloads = 0
    if (path.state === 'quarantined') {
      // Worse evidence replaces the cause; a failure of what was in flight before does not prolong the hold.
      if (cause !== 'failures') this.#hold(path, cause, nowUs)
      return
    }
    const inARow = this.rules.on('hard-evidence') && path.failuresInARow >= this.rules.settings.failuresInARow
    if (path.state === 'restored') path.canaryFailed++
    const relapsed = path.state === 'restored' && path.canaryFailed * 3 > path.canaryArrived + path.canaryFailed
    if (cause !== 'failures' || inARow || relapsed) {
      this.#quarantine(path, cause, path.failuresInARow, nowUs, out)
    }
  }

  /** Nothing has arrived for far too long. */
  stalled(path: PathRecord, slowdown: number, nowUs: number, out: Transition[]): void {
    this.#quarantine(path, 'stall', slowdown / ONE, nowUs, out)
  }

  /** An operator vouches for a path: whatever it was quarantined for, it may prove itself from here. */
  vouch(path: PathRecord, nowUs: number): void {
    if (path.state !== 'quarantined') return
    path.holdUntilUs = nowUs
    path.quarantine = 'failures'
    this.#restore(path, nowUs, [])
  }

  /** @param idle it had the path to itself: behind payload it would be late on any path */
  probed(path: PathRecord, clean: boolean, idle: boolean, nowUs: number, out: Transition[]): void {
    if (clean) {
      path.cleanProbes++
      path.penalty.clean(nowUs, this.rules.settings)
    } else {
      path.badProbes++
      path.cleanProbes = 0
      path.probesSee ||= idle
    }
    // Clean probes clear what probes have seen. What only payload meets is for payload to clear.
    const cleared = path.probesSee && path.cleanProbes >= this.rules.settings.cleanProbes
    switch (path.state) {
      case 'quarantine_candidate':
        if (path.cleanProbes >= CLEAR_PROBES) {
          path.forgetWindow()
          this.#move(path, 'degraded_restricted', 'probes_clean', { cleanProbes: path.cleanProbes }, nowUs, out)
        } else if (path.badProbes >= BAD_PROBES) {
          this.#quarantine(path, 'verification', path.badProbes, nowUs, out)
        }
        break
      case 'quarantined':
        if (!clean) {
          path.penalty.add(PENALTY.failedProbe, nowUs, this.rules.settings)
          if (nowUs >= path.holdUntilUs) this.#hold(path, path.quarantine ?? 'failures', nowUs)
        } else if (path.cleanProbes >= this.rules.settings.cleanProbes) this.#restore(path, nowUs, out)
        break
      case 'degraded_usable':
      case 'degraded_restricted':
        // They show speed, and are too few to clear a path that loses some of its transfers.
        if (cleared && path.windowErrors().failed === 0) this.#restore(path, nowUs, out)
        break
      case 'unknown':
      case 'healthy':
        if (!cleared || path.windowErrors().failed > 0) break
        path.probesSee = false
        path.forgetWindow()
        break
      default:
        break
    }
  }

  /** Once a tick. @param stalled slowdown so far of the oldest transfer in flight, 0 when none counts */
  judge(path: PathRecord, view: PathView, stalled: number, nowUs: number, out: Transition[]): void {
    const { settings } = this.rules
    switch (path.state) {
      case 'quarantined':
        if (nowUs >= path.holdUntilUs && !this.#probing()) this.#restore(path, nowUs, out)
        return
      case 'quarantine_candidate':
        if (nowUs - path.stateSinceUs >= settings.verifyMs * 1000) {
          this.#quarantine(path, 'verification', path.badProbes, nowUs, out)
        }
        return
      default:
        break
    }
    const { ok, failed } = path.windowErrors()
    const enough = ok + failed >= settings.minSamples || (stalled > 0 && this.rules.stall)
    this.#relevel(path, view.gfs, enough)
    if (enough && this.#escalate(path, view, nowUs, out)) return
    this.#deEscalate(path, view, enough, nowUs, out)
  }

  #relevel(path: PathRecord, gfs: number, enough: boolean): void {
    const { settings } = this.rules
    const up = gfs >= settings.upCandidate ? 3 : gfs >= settings.upRestricted ? 2 : gfs >= settings.upUsable ? 1 : 0
    const down =
      gfs >= settings.downCandidate ? 3 : gfs >= settings.downRestricted ? 2 : gfs >= settings.downUsable ? 1 : 0
    const level = !enough ? Math.min(path.level, down) : up > path.level ? up : Math.min(path.level, down)
    path.upTicks = level >= 1 && level >= path.level ? path.upTicks + 1 : 0
    path.level = level
  }

  /** True when the state got worse. */
  #escalate(path: PathRecord, view: PathView, nowUs: number, out: Transition[]): boolean {
    const { state, level } = path
    if (level === 0 || !this.rules.on('soft-states')) return false
    const { ok, failed } = path.windowErrors()
    const figures = { gfs: view.gfs, s50: view.s50 / ONE, s99: view.s99 / ONE, ok, failed, samples: view.samples }
    // A path that loses some of its transfers is lossy, not dead: what still arrives is worth more than a quarantine.
    const failing = failed >= 2 && failed >= ok
    if (level === 3 && failing && view.confidence >= CANDIDATE_CONFIDENCE && this.#doesNoHarm(path, nowUs)) {
      path.cleanProbes = 0
      path.badProbes = 0
      this.#move(path, 'quarantine_candidate', 'gfs_candidate', figures, nowUs, out)
      return true
    }
    if (path.upTicks < UP_TICKS) return false
    if (level >= 2 && (state === 'unknown' || state === 'healthy' || state === 'degraded_usable')) {
      this.#charge(path, PENALTY.restricted, nowUs)
      this.#move(path, 'degraded_restricted', 'gfs_restricted', figures, nowUs, out)
      return true
    }
    if (state === 'unknown' || state === 'healthy' || (state === 'restored' && path.stage >= 1)) {
      if (state === 'restored') path.flaps++
      this.#charge(path, PENALTY.usable, nowUs)
      this.#move(path, 'degraded_usable', 'gfs_usable', figures, nowUs, out)
      return true
    }
    return false
  }

  #deEscalate(path: PathRecord, view: PathView, enough: boolean, nowUs: number, out: Transition[]): void {
    const { settings } = this.rules
    const { ok, failed } = path.windowErrors()
    const figures = { gfs: view.gfs, ok, failed, samples: view.samples }
    switch (path.state) {
      case 'unknown':
        if (view.samples >= settings.minSamples && path.level === 0 && path.cleanPayloads >= PAYLOADS_TO_HEALTHY) {
          this.#move(path, 'healthy', 'proven', figures, nowUs, out)
        }
        return
      case 'healthy':
        if (path.lastSampleUs >= 0 && nowUs - path.lastSampleUs > this.rules.staleUs) {
          path.cleanPayloads = 0
          this.#move(path, 'unknown', 'stale', { ageUs: nowUs - path.lastSampleUs }, nowUs, out)
        }
        return
      case 'degraded_usable':
      case 'degraded_restricted': {
        const restricted = path.state === 'degraded_restricted'
        path.downTicks = path.level < (restricted ? 2 : 1) ? path.downTicks + 1 : 0
        const proven = enough || path.cleanProbes >= 2
        if (path.downTicks < settings.downTicks || !proven) return
        if (restricted) this.#move(path, 'degraded_usable', 'gfs_lowered', figures, nowUs, out)
        else {
          this.#restoreAt(LAST_STAGE, path, nowUs)
          this.#move(path, 'restored', 'gfs_lowered', figures, nowUs, out)
        }
        return
      }
      default:
        return
    }
  }

  #advanceCanary(path: PathRecord, nowUs: number, out: Transition[]): void {
    const { settings } = this.rules
    const dwellUs = settings.canaryDwellMs * 1000 * 2 ** Math.min(4, path.flaps)
    const needed = CANARY_PAYLOADS[path.stage]!
    if (this.rules.on('canary') && (path.cleanPayloads < needed || nowUs - path.stateSinceUs < dwellUs)) return
    const figures = { stage: path.stage, cleanPayloads: path.cleanPayloads, penalty: this.#penaltyOf(path, nowUs) }
    if (path.stage < LAST_STAGE && this.rules.on('canary')) {
      path.stage++
      this.#enterCanary(path, nowUs)
      path.stateSinceUs = nowUs
      path.dirty = true
      return
    }
    path.stage = 0
    path.quarantine = null
    if (this.#penaltyOf(path, nowUs) < PENALTY.quarantined) path.flaps = 0
    this.#move(path, 'healthy', 'canary_passed', figures, nowUs, out)
  }

  #restoreAt(stage: number, path: PathRecord, nowUs: number): void {
    path.stage = stage
    path.canaryArrived = 0
    path.canaryFailed = 0
    this.#enterCanary(path, nowUs)
  }

  #enterCanary(path: PathRecord, nowUs: number): void {
    path.cleanPayloads = 0
    path.badPayloads = 0
    path.lastCanaryUs = nowUs
  }

  #restore(path: PathRecord, nowUs: number, out: Transition[]): void {
    if (nowUs < path.holdUntilUs) return
    const penalty = this.#penaltyOf(path, nowUs)
    path.forgetWindow()
    path.failuresInARow = 0
    this.#restoreAt(0, path, nowUs)
    this.#move(path, 'restored', 'probes_clean', { cleanProbes: path.cleanProbes, penalty }, nowUs, out)
    if (!this.rules.on('canary')) this.#advanceCanary(path, nowUs, out)
  }

  #quarantine(path: PathRecord, cause: QuarantineCause, count: number, nowUs: number, out: Transition[]): void {
    if (path.state === 'restored') path.flaps++
    this.#charge(path, PENALTY.quarantined, nowUs)
    this.#hold(path, cause, nowUs)
    const figures = { count, penalty: this.#penaltyOf(path, nowUs), holdUs: path.holdUntilUs - nowUs }
    this.#move(path, 'quarantined', cause, figures, nowUs, out)
  }

  /** holdMs x 2^(penalty/1000 - 1), at most 2^5 and holdMostMs. */
  #hold(path: PathRecord, cause: QuarantineCause, nowUs: number): void {
    const { settings } = this.rules
    path.quarantine = cause
    path.cleanProbes = 0
    path.badProbes = 0
    const doublings = Math.max(0, Math.min(5, Math.floor(this.#penaltyOf(path, nowUs) / 1000) - 1))
    const holdMs = this.rules.on('hold') ? Math.min(settings.holdMostMs, settings.holdMs * 2 ** doublings) : 0
    path.holdUntilUs = nowUs + (cause === 'corrupt' ? settings.corruptHoldMs : holdMs) * 1000
  }

  /** Soft evidence may not take more out of a pool than the rest can carry. */
  #doesNoHarm(path: PathRecord, nowUs: number): boolean {
    if (!this.rules.on('do-no-harm')) return true
    const { settings } = this.rules
    const { paths } = path.pool
    let out = 1
    let demand = 0
    let room = 0
    for (const each of paths) {
      const view = each.view(nowUs, this.rules)
      demand += view.demand
      if (each === path) continue
      if (each.state === 'quarantined' || each.state === 'quarantine_candidate') out++
      else room += view.demand + view.spare
    }
    return out <= paths.length * settings.ejectMost && demand < room * settings.doNoHarmLoad
  }

  #probing(): boolean {
    return this.rules.on('probes') && this.rules.settings.probesPerSecond > 0
  }

  #penaltyOf(path: PathRecord, nowUs: number): number {
    return path.penalty.value(nowUs, this.rules.settings)
  }

  /** Members of an element that is suspected already do not pay for its failure again. */
  #charge(path: PathRecord, points: number, nowUs: number): void {
    if (path.groups.some((group) => group.suspect)) return
    path.penalty.add(points, nowUs, this.rules.settings)
  }

  #move(
    path: PathRecord,
    to: PathState,
    cause: string,
    figures: Readonly<Record<string, number>>,
    nowUs: number,
    out: Transition[],
  ): void {
    const from = path.state
    path.state = to
    path.stateSinceUs = nowUs
    path.upTicks = 0
    path.downTicks = 0
    path.dirty = true
    if (to === 'healthy' || to === 'restored') path.probesSee = false
    if (isDegraded(to)) {
      path.cleanProbes = 0
      path.cleanPayloads = 0
    }
    out.push({ path: path.index, from, to, cause, figures })
    if (WORSE[to] > WORSE[from] && this.rules.on('groups')) this.#groups.rose(path, nowUs)
  }
}
