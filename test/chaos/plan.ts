// What a chaos run does, from its seed alone: which faults in which round, which transfers over which paths.

import { type DrawStream, integerAt, streamOf } from '../../src/random.js'

export interface PlannedTransfer {
  readonly path: string
  readonly blocks: number
  readonly workload: 'release' | 'interactive' | 'batch'
  readonly deadlineMs: number
  /** Cancelled so long after its post, microseconds; null: not. */
  readonly cancelUs: number | null
}

/** `cut`: a connection breaks once. `kill`: a peer process is killed in the middle and started again. */
type RoundKind = 'faults' | 'cut' | 'kill'

export interface Round {
  readonly kind: RoundKind
  /** Fault rules without their seed. */
  readonly spec: string
  readonly transfers: readonly PlannedTransfer[]
}

export const ROUND_TRANSFERS = 500
/** Time enough for a queue that is full a few times on a machine that has other things to do. */
const DEADLINE_MS = 300
const WORKLOADS = ['release', 'interactive', 'batch'] as const

/** Rules to choose from; `at` is what they are put on, `n` a number from 0 to 9. */
const MENU: readonly ((at: string, n: number) => string)[] = [
  (at, n) => `${at}=${1 + n}%drop`,
  (at, n) => `${at}=${1 + n}%lose`,
  (at, n) => `${at}=${5 + n}%late(${350 + n * 10}ms)`,
  (at, n) => `${at}=${10 + n * 3}%dup(${1 + (n % 3)})`,
  (at, n) => `${at}=${5 + n}%error(${['timeout', 'backend', 'remote_access', 'not_found', 'truncated'][n % 5]})`,
  (at, n) => `${at}=${5 + n * 2}%corrupt(${1 + n}bits)`,
  (at, n) => `${at}=${5 + n}%corrupt(${1 + n * 7}B)`,
  (at, n) => `${at}=${4 + n}%short(${10 + n * 8}%)`,
  (at, n) => `${at}=${4 + n}%partial(${5 + n * 9}%)`,
  (at, n) => `${at}=${30 + n * 5}%delay(exp(${100 + n * 300}us))`,
  (at, n) => `${at}=delay(bimodal(20us,${2 + n}ms,${5 + n}%))`,
  (at, n) => `${at}=${1 + (n >> 1)}*stall(${5 + n}ms)`,
  (at, n) => `${at}=rate(${20 + n * 30}MiB/s)`,
  (at, n) => `${at}=${10 + n * 2}%eagain(${1 + (n % 3)})`,
  (at, n) => `${at}=${20 + n}%reorder(${2 + (n % 4)})`,
  (at, n) => `${at}=${3 + n}%stale{min=8KiB}`,
  (at, n) => `${at}=2%block(${1 + (n % 4)}ms)`,
]

/** @param own paths between agents of this process; `foreign` those to peer processes */
export function planRound(seed: number, round: number, own: readonly string[], foreign: readonly string[]): Round {
  const draw = new Draws(streamOf(seed, 'chaos-round', round))
  const kind: RoundKind = round % 10 === 7 ? 'kill' : round % 10 === 3 ? 'cut' : 'faults'
  const all = [...own, ...foreign]
  let spec: string
  if (kind === 'cut') {
    spec = `${own[draw.below(own.length)]}=1*${draw.below(2) === 0 ? 'disconnect' : 'restart'}`
  } else {
    // What a peer's death cuts short is not the same in every run, so rules keep away from it in that round.
    const wide = kind === 'kill' ? ['prefill-1', 'decode-0', 'decode-1'] : ['rail0', 'rail1', '*.read', '*', 'decode-0']
    const narrow = kind === 'kill' ? own : all
    const rules = Array.from({ length: 1 + draw.below(4) }, () => {
      const places = draw.below(3) === 0 ? narrow : wide
      return MENU[draw.below(MENU.length)]!(places[draw.below(places.length)]!, draw.below(10))
    })
    spec = rules.join(';')
  }
  // A transfer that is cancelled while it waits behind a full queue meets the rules or does not, by chance.
  const cancels = !spec.includes('eagain')
  const transfers = Array.from({ length: ROUND_TRANSFERS }, (): PlannedTransfer => {
    const path = all[draw.below(all.length)]!
    return {
      path,
      blocks: 1 + draw.below(8),
      workload: WORKLOADS[draw.below(3)]!,
      deadlineMs: DEADLINE_MS,
      cancelUs: cancels && draw.below(100) < 3 ? draw.below(2000) : null,
    }
  })
  return { kind, spec, transfers }
}

class Draws {
  readonly #stream: DrawStream
  #next = 0

  constructor(stream: DrawStream) {
    this.#stream = stream
  }

  below(bound: number): number {
    return integerAt(this.#stream, this.#next++, bound)
  }
}
