// Fault injection of one seam: arms rules on all of its agents, present and to come, and tells what they did.

import { refuse } from '../check.js'
import { SeamError } from '../errors.js'
import type { Agent } from '../native/agent.js'
import { binding, type NativeFaultError } from '../native/binding.js'
import { faultChannel } from '../observe/channels.js'
import { ArmedFaults, type FaultReport } from './armed-faults.js'
import type { FaultEnvironment, FaultSource } from './environment.js'
import { FiringLog } from './firing-log.js'

/** How often the log is brought up to date. */
const COLLECT_MS = 100
const MOST_AT_ONCE = 65_536

/** What armed rules do to something that TypeScript does itself: a probe, or giving a session back. */
export interface FaultCheck {
  readonly delayMs: number
  readonly blockMs: number
  readonly lateMs: number
  readonly outcome: 'error' | 'drop' | 'lose' | 'late' | null
  /** With outcome `error`. */
  readonly error?: Error
}

export interface FaultCheckDetail {
  readonly bytes?: number
  readonly workload?: string
}

interface Armed {
  readonly handle: ArmedFaults
  readonly plan: number
}

export class Faults {
  readonly #environment: FaultEnvironment
  readonly #agents: () => Iterable<Agent>
  readonly #warn: (code: string, message: string, facts: object) => void
  readonly #log: FiringLog | undefined
  #armed: Armed[] = []
  #timer: NodeJS.Timeout | undefined
  #told = false

  /** @internal Use `seam.faults`. */
  constructor(
    environment: FaultEnvironment,
    agents: () => Iterable<Agent>,
    warn: (code: string, message: string, facts: object) => void,
  ) {
    this.#environment = environment
    this.#agents = agents
    this.#warn = warn
    this.#log = environment.logFile === undefined ? undefined : new FiringLog(environment.logFile)
  }

  /** Whether any rules are armed now. Decisions made meanwhile say `faulted: true` in their records. */
  get armed(): boolean {
    return this.#armed.length > 0
  }

  /**
   * Arms rules on top of those that are armed already; they come after them.
   * @throws KVSEAM_FAULTS_SYNTAX with line, column and caret; KVSEAM_FAULTS_REFUSED on a real backend without
   *   KVSEAM_FAULTS_ALLOW_REAL=1, or for `kill` without KVSEAM_FAULTS_ALLOW_KILL=1; nothing is armed then
   */
  arm(text: string): ArmedFaults {
    if (typeof text !== 'string') {
      throw refuse('KVSEAM_INVALID_ARGUMENT', 'faults', text, 'it must be a string such as rail0.read=delay(20ms)')
    }
    return this.armFrom({ origin: 'arm()', text })
  }

  /** @internal */
  armFrom(source: FaultSource): ArmedFaults {
    const native = binding()
    const made = native.makeFaultPlan(source.text)
    if ('error' in made) throw syntaxError(source.origin, made.error)
    const { plan } = made
    try {
      if (made.kills && !this.#environment.allowKill) {
        throw new SeamError(
          'KVSEAM_FAULTS_REFUSED',
          { origin: source.origin, action: 'kill' },
          'kill ends this process at once; set KVSEAM_FAULTS_ALLOW_KILL=1 if that is meant',
        )
      }
      const armed: Agent[] = []
      try {
        for (const agent of this.#agents()) {
          if (agent.closed) continue
          native.armFaults(agent.handle, plan, this.#environment.allowReal)
          armed.push(agent)
        }
      } catch (error) {
        native.retireFaults(plan)
        for (const agent of armed) native.disarmFaults(agent.handle, plan)
        throw error
      }
    } catch (error) {
      native.freeFaults(plan)
      throw error
    }
    const handle: ArmedFaults = new ArmedFaults({
      origin: source.origin,
      text: source.text,
      seed: made.seed,
      seedChosen: !made.seedGiven,
      backstage: {
        report: () => native.faultReport(plan),
        takeFirings: () => native.takeFirings(plan, MOST_AT_ONCE),
        collect: () => this.#collect(handle),
        resume: (rule) => {
          const known = Number.isSafeInteger(rule) && rule > 0 && native.resumeFaults(plan, rule)
          if (known) for (const agent of this.#agents()) if (!agent.closed) native.nudge(agent.handle)
          return known
        },
        disarm: () => this.#disarm(handle, plan),
      },
    })
    this.#armed.push({ handle, plan })
    this.#log?.begin(handle)
    this.#tell(handle)
    if (this.#log !== undefined && this.#timer === undefined) {
      this.#timer = setInterval(() => this.collect(), COLLECT_MS)
      this.#timer.unref()
    }
    return handle
  }

  /** Of everything armed now, in the order of arming. */
  report(): readonly FaultReport[] {
    return this.#armed.map(({ handle }) => handle.report())
  }

  /** Lets go what rule `rule` (from 1) of every armed set has paused. */
  resume(rule = 1): void {
    for (const { handle } of this.#armed) {
      if (rule <= handle.report().rules.length) handle.resume(rule)
    }
  }

  /**
   * For layers above the backend: what is to happen to a probe or a release on this path now. Null: nothing. Each call
   * counts as one operation. The caller carries it out.
   */
  check(op: 'probe' | 'release', path: string, detail: FaultCheckDetail = {}): FaultCheck | null {
    const checks = this.#armed.flatMap(
      ({ plan }) => binding().checkFaults(plan, op, path, detail.bytes ?? 0, detail.workload ?? '') ?? [],
    )
    if (checks.length === 0) return null
    // As for the other operations: times add up, the first outcome wins.
    const decided = checks.find((check) => check.outcome !== null)
    return {
      delayMs: checks.reduce((sum, check) => sum + check.delayNs, 0) / 1e6,
      blockMs: checks.reduce((sum, check) => sum + check.blockNs, 0) / 1e6,
      lateMs: (decided?.lateNs ?? 0) / 1e6,
      outcome: decided?.outcome ?? null,
      ...(decided?.error === undefined ? {} : { error: decided.error }),
    }
  }

  /** @internal A new agent meets what is armed. @throws KVSEAM_FAULTS_REFUSED */
  attach(agent: Agent): void {
    agent.onFault = () => this.collect()
    for (const { plan } of this.#armed) binding().armFaults(agent.handle, plan, this.#environment.allowReal)
  }

  /** @internal Takes what fired, does what only this thread can do about it, writes the log. */
  collect(): void {
    for (const { handle } of [...this.#armed]) this.#collect(handle)
  }

  /** @internal Disarms everything and says which rules did nothing. */
  close(): void {
    for (const { handle } of [...this.#armed]) handle.disarm()
    clearInterval(this.#timer)
  }

  #disarm(handle: ArmedFaults, plan: number): void {
    const native = binding()
    this.#armed = this.#armed.filter((one) => one.plan !== plan)
    native.retireFaults(plan)
    for (const agent of this.#agents()) if (!agent.closed) native.disarmFaults(agent.handle, plan)
    native.freeFaults(plan)
    this.#log?.end(handle)
    const unused = handle.unused
    if (unused.length > 0) {
      this.#warn(
        'KVSEAM_W_FAULTS_UNUSED',
        `fault rules that did nothing: ${unused
          .map(
            ({ rule, text, known, matched }) =>
              `${rule}: ${text} (${known ? `met ${matched} operations, fired never` : 'no path or agent has that name'})`,
          )
          .join('; ')}`,
        { rules: unused },
      )
    }
  }

  #collect(handle: ArmedFaults): void {
    const news = handle.absorb()
    if (news.length === 0) return
    this.#log?.write(news)
    for (const firing of news) {
      if (faultChannel.hasSubscribers) faultChannel.publish({ ...firing, seed: handle.seed })
      if (firing.action === 'block') busyFor(firing.value)
    }
  }

  #tell(handle: ArmedFaults): void {
    if (this.#told) return
    this.#told = true
    const seed = handle.seedChosen ? `seed ${handle.seed}, chosen now` : `seed ${handle.seed}`
    this.#warn('KVSEAM_W_FAULTS_ARMED', `faults are armed by ${handle.origin} (${seed}): ${handle.text.trim()}`, {
      seed: handle.seed,
      origin: handle.origin,
    })
  }
}

/** Keeps this thread busy, as synchronous work of the application would. */
function busyFor(ns: number): void {
  const until = performance.now() + ns / 1e6
  while (performance.now() < until) {}
}

function syntaxError(origin: string, error: NativeFaultError): SeamError {
  const { line, column, message, source, caret } = error
  return new SeamError(
    'KVSEAM_FAULTS_SYNTAX',
    { origin, line, column, source, caret },
    `${origin}, line ${line}, column ${column}: ${message}\n  ${source}\n  ${' '.repeat(caret)}^`,
  )
}
