// One round of a chaos run: arms its faults, posts its transfers in the order of the plan, and looks at every outcome.

import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Descriptors, type Path, SeamError } from '../../src/index.js'
import type { Transfer } from '../../src/native/transfer.js'
import { permitNumber } from '../../src/permit.js'
import type { SampleOutcome } from '../../src/policy/policy.js'
import { BLOCK_BYTES } from './blocks.js'
import type { PlannedTransfer, Round } from './plan.js'
import type { ChaosTally } from './tally.js'
import type { ChaosWorld } from './world.js'

/** In flight at once. More, and the order in which one path is used would still be the plan's. */
const WINDOW = 48
/** Settled later than this after its deadline is lost. */
const LOST_AFTER_MS = 5000
const QUIESCE_MS = 5000

interface Ended {
  readonly path: Path
  readonly outcome: SampleOutcome
  readonly ms: number
  readonly bytes: number
}

export async function playRound(
  world: ChaosWorld,
  round: Round,
  index: number,
  seed: number,
  tally: ChaosTally,
): Promise<void> {
  const player = new RoundPlayer(world, tally, index)
  const armed = world.seam.faults.arm(`seed=${roundSeed(seed, index)};${round.spec}`)
  for (const [i, planned] of round.transfers.entries()) {
    if (round.kind === 'kill' && i === round.transfers.length >> 1) {
      await world.killPeer()
      tally.kills++
    }
    await player.start(planned)
  }
  await player.settled()
  const { firings } = armed
  armed.disarm()
  await player.quiesced()
  tally.fired(index, firings)
  player.judge(firings)
  if (round.kind === 'cut') tally.cuts += firings.length
  await world.mend(round.kind === 'kill')
  player.tellPolicy()
}

function roundSeed(seed: number, index: number): number {
  return createHash('sha256').update(`${seed}/${index}`).digest().readUInt32LE()
}

class RoundPlayer {
  readonly #world: ChaosWorld
  readonly #tally: ChaosTally
  readonly #round: number
  readonly #running = new Set<Promise<void>>()
  readonly #quiescing = new Set<Promise<void>>()
  readonly #ended: Ended[] = []
  readonly #mismatches = new Map<string, number>()
  #number = 0

  constructor(world: ChaosWorld, tally: ChaosTally, round: number) {
    this.#world = world
    this.#tally = tally
    this.#round = round
  }

  /** Posts it as soon as there is room; returns when it is posted. */
  async start(planned: PlannedTransfer): Promise<void> {
    while (this.#running.size >= WINDOW) await Promise.race(this.#running)
    const path = this.#world.path(planned.path)
    const number = this.#round * 1000 + this.#number++
    this.#tally.transfers++
    if (!path.usable) {
      this.#tally.refused++
      return
    }
    const sides = await this.#sides(path, planned.blocks, number)
    const { seam } = this.#world
    const others = [...seam.paths].filter((other) => other !== path).map((other) => other.id)
    const bytes = planned.blocks * BLOCK_BYTES
    const decision = seam.policy.decide({
      workload: planned.workload,
      bytes,
      from: path.from,
      to: [path.to],
      exclude: others,
    })
    if (decision.outcome !== 'admitted')
      throw new Error(`round ${this.#round}: ${JSON.stringify(decision.record.candidates)}`)
    const pull = path.mode === 'pull'
    const transfer = path.agent.post({
      permit: permitNumber(decision.permit),
      path: path.nativeIndex,
      operation: path.operation,
      local: pull ? sides.to : sides.from,
      remote: pull ? sides.from : sides.to,
      timeoutMs: planned.deadlineMs,
    })
    if (planned.cancelUs !== null) setTimeout(() => transfer.cancel(), planned.cancelUs / 1000)
    const verified = this.#outcome(path, transfer, planned, sides, number).finally(() => this.#running.delete(verified))
    this.#running.add(verified)
    const quiet = Promise.all([verified, transfer.quiesced]).then(() => {
      sides.release()
      seam.policy.release(decision.lease)
      this.#quiescing.delete(quiet)
    })
    this.#quiescing.add(quiet)
  }

  async settled(): Promise<void> {
    await Promise.all(this.#running)
  }

  async quiesced(): Promise<void> {
    const all = Promise.all(this.#quiescing)
    const inTime = await Promise.race([all.then(() => true), sleep(QUIESCE_MS, false, { ref: false })])
    if (inTime) return
    this.#tally.leaked += this.#quiescing.size
    this.#tally.problem(
      `round ${this.#round}: ${this.#quiescing.size} transfers did not quiesce within ${QUIESCE_MS} ms`,
    )
  }

  /** Bytes that were reported good and are not must have been made so by a fault of that path. */
  judge(firings: readonly { path: string; action: string }[]): void {
    const byPath = new Map<string, number>()
    for (const { path, action } of firings) {
      if (action !== 'corrupt' && action !== 'short') continue
      byPath.set(path, (byPath.get(path) ?? 0) + 1)
      this.#tally.injected++
    }
    for (const [path, mismatches] of this.#mismatches) {
      const most = byPath.get(path) ?? 0
      if (mismatches <= most) continue
      this.#tally.wrong += mismatches - most
      this.#tally.problem(`round ${this.#round}: ${mismatches} wrong on ${path}, ${most} injected`)
    }
    const { canaries } = this.#world.damage()
    if (canaries > 0) {
      this.#tally.wrong += canaries
      this.#tally.problem(`round ${this.#round}: ${canaries} canaries were touched`)
    }
    for (const path of this.#world.seam.paths) {
      const { activeSessions } = path.health
      if (activeSessions === 0) continue
      this.#tally.leaked += activeSessions
      this.#tally.problem(`round ${this.#round}: ${activeSessions} sessions of ${path.id} did not come back`)
    }
  }

  /** What happened goes to the policy now, so that it could not change the plan; then paths are probed well again. */
  tellPolicy(): void {
    const { policy, paths } = this.#world.seam
    for (const { path, outcome, ms, bytes } of this.#ended) {
      policy.observe({ path: path.id, outcome, totalUs: Math.round(ms * 1000), bytes })
    }
    for (const path of paths) {
      const record = policy.explain({ workload: 'interactive', bytes: BLOCK_BYTES, from: path.from, to: [path.to] })
      const chosen = record.candidates.filter((candidate) => candidate.chosen)
      if (chosen.some((candidate) => !candidate.admissible) || record.candidates.some(({ reason }) => reason === '')) {
        this.#tally.problem(`round ${this.#round}: a record that contradicts itself: ${JSON.stringify(record)}`)
      }
    }
    for (const path of paths) {
      // Ten make the window of the rules clean, the rest brings a path back by stages.
      for (let i = 0; i < 60 && (i < 10 || path.state !== 'healthy'); i++) {
        policy.observe({ path: path.id, outcome: 'ok', totalUs: 100, bytes: BLOCK_BYTES, source: 'probe' })
      }
      if (path.state !== 'healthy') this.#tally.problem(`round ${this.#round}: ${path.id} stays ${path.state}`)
    }
  }

  async #outcome(
    path: Path,
    transfer: Transfer,
    planned: PlannedTransfer,
    sides: Sides,
    number: number,
  ): Promise<void> {
    const startMs = performance.now()
    const limit = sleep(planned.deadlineMs + LOST_AFTER_MS, 'lost' as const, { ref: false })
    const outcome = await Promise.race([
      limit,
      transfer.settled.then(
        () => null,
        (error: unknown) => error,
      ),
    ])
    const ms = performance.now() - startMs
    const bytes = planned.blocks * BLOCK_BYTES
    if (outcome === 'lost') {
      this.#tally.lost++
      this.#tally.problem(`round ${this.#round}: a transfer over ${path.id} did not settle within ${Math.round(ms)} ms`)
      return
    }
    const totalNs = SeamError.is(outcome) ? outcome.facts['totalNs'] : undefined
    this.#tally.settled(ms, typeof totalNs === 'number' ? totalNs / 1e6 : undefined, planned.deadlineMs)
    if (outcome !== null) {
      if (!SeamError.is(outcome)) throw outcome
      this.#tally.outcome(outcome.code)
      const blamed = outcome.blame === 'path' ? (outcome.code === 'KVSEAM_TIMEOUT' ? 'timeout' : 'transport') : 'local'
      this.#ended.push({ path, outcome: blamed, ms, bytes })
      return
    }
    const verdict = await sides.verify(number)
    if (verdict === null) return // the peer died before it could say
    this.#tally.outcome(verdict.digestRight ? 'ok' : 'mismatch')
    this.#ended.push({ path, outcome: verdict.digestRight ? 'ok' : 'corrupt', ms, bytes })
    if (verdict.bytesRight === false && verdict.digestRight) {
      this.#tally.wrong++
      this.#tally.problem(`round ${this.#round}: wrong bytes over ${path.id} that the digest did not see`)
    }
    if (!verdict.digestRight) {
      this.#tally.caught++
      this.#mismatches.set(path.id, (this.#mismatches.get(path.id) ?? 0) + 1)
    }
  }

  async #sides(path: Path, count: number, number: number): Promise<Sides> {
    return path.mode === 'push'
      ? await this.#pushSides(path, count, number)
      : await this.#pullSides(path, count, number)
  }

  async #taken(blocks: { take(count: number): number[] | null }, count: number): Promise<number[]> {
    for (;;) {
      const taken = blocks.take(count)
      if (taken !== null) return taken
      await Promise.race([...this.#quiescing])
    }
  }

  async #pullSides(path: Path, count: number, number: number): Promise<Sides> {
    const target = this.#world.target(path)
    const landed = await this.#taken(target, count)
    const to = target.region.blocks(BLOCK_BYTES, landed)
    if (path.from === this.#world.peer.name) {
      // The peer's memory is all zeros.
      const blocks = this.#world.peerBlocks(count)
      const from = this.#world.peerOf(path).region('zero').blocks(BLOCK_BYTES, blocks)
      const zeros = Buffer.alloc(BLOCK_BYTES)
      return {
        from,
        to,
        release: () => {
          target.giveBack(landed)
          release(from, to)
        },
        verify: async () => {
          const [found, expected] = await Promise.all([
            to.digest(),
            this.#world.peer.digest(blocks, BLOCK_BYTES, 'zero'),
          ])
          if (expected === null) return null
          const bytesRight = landed.every((block) => zeros.equals(target.region.read(block * BLOCK_BYTES, BLOCK_BYTES)))
          return { digestRight: found === expected, bytesRight }
        },
      }
    }
    const source = this.#world.source(path)
    const sent = await this.#taken(source, count)
    source.fill(number, sent)
    const from = source.region.blocks(BLOCK_BYTES, sent)
    return {
      from,
      to,
      release: () => {
        source.giveBack(sent)
        target.giveBack(landed)
        release(from, to)
      },
      verify: async () => {
        const [found, expected] = await Promise.all([to.digest(), from.digest()])
        return { digestRight: found === expected, bytesRight: target.holds(number, landed) }
      },
    }
  }

  async #pushSides(path: Path, count: number, number: number): Promise<Sides> {
    const source = this.#world.source(path)
    const sent = await this.#taken(source, count)
    source.fill(number, sent)
    const from = source.region.blocks(BLOCK_BYTES, sent)
    const blocks = this.#world.peerBlocks(count)
    const to = this.#world.peerOf(path).region('kv').blocks(BLOCK_BYTES, blocks)
    return {
      from,
      to,
      release: () => {
        source.giveBack(sent)
        release(from, to)
      },
      verify: async () => {
        const [found, expected] = await Promise.all([this.#world.peer.digest(blocks, BLOCK_BYTES, 'kv'), from.digest()])
        return found === null ? null : { digestRight: found === expected }
      },
    }
  }
}

function release(...lists: readonly Descriptors[]): void {
  for (const list of lists) list.release()
}

/** Both sides of one transfer. */
interface Sides {
  readonly from: Descriptors
  readonly to: Descriptors
  /** Null when nobody could tell. */
  verify(number: number): Promise<{ digestRight: boolean; bytesRight?: boolean } | null>
  release(): void
}
