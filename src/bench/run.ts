// Runs the cells of a sweep one after the other over the paths between this process and the far end.

import { monitorEventLoopDelay } from 'node:perf_hooks'
import { SeamError } from '../errors.js'
import type { Agent, RailOptions } from '../native/agent.js'
import type { Peer } from '../native/peer.js'
import type { Path } from '../paths.js'
import { permutation, streamOf } from '../random.js'
import { openSeam, type Seam } from '../seam.js'
import type { Cell } from './axes.js'
import { type Account, cellFigures, openAccount, type PathLanes } from './cell-figures.js'
import { environment } from './environment.js'
import { type FarEnd, openFarEnd } from './far-end.js'
import { LatencyHistogram } from './latency-histogram.js'
import { drive } from './load.js'
import { BenchPool, type Cut, remoteBlocks } from './pool.js'
import { barePoster, gatedPoster, type Slot } from './poster.js'
import type { Arrangement, BenchOptions, BenchReport, CellFigures, Gate, Operation } from './report.js'
import { Verifier } from './verifier.js'

/** Lists prepared for a path at most; more would only take memory. */
const MOST_SLOTS = 256
const NOTIFIES = 64
const NOTIFY_BYTES = 16

export interface Sweep {
  readonly cells: readonly Cell[]
  readonly operations: readonly Operation[]
  readonly gates: readonly Gate[]
  readonly arrangements: readonly Arrangement[]
  readonly options: BenchOptions
}

/** One run of one cell that is about to begin, for whoever shows progress. */
export interface Step {
  readonly number: number
  readonly of: number
  readonly cell: Cell
  readonly operation: Operation
  readonly arrangement: Arrangement
  /** Of all its paths and gates, while it runs. */
  soFar(): Progress
}

interface Progress {
  readonly transfers: number
  readonly bytes: number
  /** Spent transferring. */
  readonly seconds: number
  /** The worst path's. */
  readonly p99Us: number
}

/**
 * @param signal ends the run early; what was finished is reported
 * @throws KVSEAM_OUT_OF_BOUNDS when a transfer does not fit the pool; what openSeam() and the far end throw
 */
export async function runSweep(
  sweep: Sweep,
  signal: AbortSignal,
  onStep: (step: Step) => void,
  onCell: (figures: readonly CellFigures[]) => void,
): Promise<BenchReport> {
  for (const cell of sweep.cells) checkFits(cell, sweep.options)
  const machine = environment()
  const bench = await Bench.open(sweep.options, signal)
  try {
    const steps = sweep.operations.flatMap((operation) =>
      sweep.cells.flatMap((cell) => sweep.arrangements.map((arrangement) => ({ operation, cell, arrangement }))),
    )
    const cells: CellFigures[] = []
    for (const [i, step] of steps.entries()) {
      if (signal.aborted) break
      onStep({ number: i + 1, of: steps.length, ...step, soFar: () => bench.soFar })
      const figures = await bench.measure(step.cell, step.operation, sweep.gates, step.arrangement)
      if (signal.aborted) break // cut short: its figures are not those of the others
      cells.push(...figures)
      onCell(figures)
    }
    const { label, provider, version } = bench.backend
    return {
      schema: 'kvseam.bench/1',
      label,
      provider,
      providerVersion: version,
      environment: machine,
      options: sweep.options,
      cells,
      interrupted: signal.aborted,
    }
  } finally {
    await bench.close()
  }
}

/** Transfers of a path that each have blocks of their own; one after the other they walk through all of them. */
export function transfersInPool(cell: Cell, { poolBytes, window }: BenchOptions, paths: number): number {
  return Math.min(Math.floor(poolBytes / cell.transferBytes / paths), Math.max(window, MOST_SLOTS))
}

function checkFits(cell: Cell, { poolBytes }: BenchOptions): void {
  if (cell.transferBytes <= poolBytes) return
  throw new SeamError(
    'KVSEAM_OUT_OF_BOUNDS',
    { cell: cell.name, transferBytes: cell.transferBytes, poolBytes },
    `a transfer of '${cell.name}' has ${cell.transferBytes} bytes and each side has ${poolBytes}; raise --memory, or take fewer or smaller blocks`,
  )
}

/** The two ends, open for as many cells as wanted. */
export class Bench {
  readonly #seam: Seam
  readonly #near: Agent
  readonly #peer: Peer
  readonly #far: FarEnd
  readonly #pool: BenchPool
  readonly #options: BenchOptions
  readonly #signal: AbortSignal
  #accounts: readonly Account[] = []

  private constructor(
    seam: Seam,
    near: Agent,
    peer: Peer,
    far: FarEnd,
    pool: BenchPool,
    options: BenchOptions,
    signal: AbortSignal,
  ) {
    this.#seam = seam
    this.#near = near
    this.#peer = peer
    this.#far = far
    this.#pool = pool
    this.#options = options
    this.#signal = signal
  }

  static async open(options: BenchOptions, signal: AbortSignal): Promise<Bench> {
    const rails = Array.from(
      { length: options.rails },
      (_, i): RailOptions => ({
        name: `rail${i}`,
        // A modelled rate is the mock's; a device has the rate that it has.
        ...(options.devices.length === 0
          ? { bytesPerSecond: options.railBytesPerSecond, latencyUs: options.railLatencyUs }
          : { device: options.devices[i % options.devices.length]! }),
      }),
    )
    const far = await openFarEnd(
      { backend: options.backend, rails, poolBytes: options.poolBytes },
      options.peer === 'process',
    )
    let seam: Seam | undefined
    try {
      seam = await openSeam({
        backend: options.backend,
        profile: options.profile,
        // Room to spare, also beside what the policy keeps free for other classes: capacity is not what is measured.
        sessionsPerPath: options.window * 8,
        deadlineMs: options.deadlineMs,
        ...(options.faults === null ? {} : { faults: options.faults }),
      })
      const near = await seam.agent('near', { rails, maxTransfers: Math.max(4096, options.window * options.rails * 2) })
      const pool = new BenchPool(near, options.poolBytes)
      const peer = await seam.connect(near, far.metadata)
      return new Bench(seam, near, peer, far, pool, options, signal)
    } catch (error) {
      await seam?.close()
      await far.stop()
      throw error
    }
  }

  /** Of the cell that is being measured; its warm-up is not in it. */
  get soFar(): Progress {
    const results = this.#accounts.flatMap(({ results }) => results)
    return {
      transfers: results.reduce((sum, each) => sum + each.transfer.samples, 0),
      bytes: results.reduce((sum, each) => sum + each.bytes, 0),
      seconds: Math.max(
        1e-3,
        results.reduce((sum, each) => sum + each.seconds, 0),
      ),
      p99Us: Math.max(0, ...results.map((each) => each.total.percentileNs(0.99) / 1e3)),
    }
  }

  get backend(): { label: string; provider: string; version: string } {
    const { label, provider, version } = this.#near.info
    return { label, provider, version }
  }

  async close(): Promise<void> {
    await this.#seam.close({ drainMs: 500 })
    await this.#far.stop()
  }

  /** One cell with each of the gates, in rounds that alternate: what is compared must run side by side. */
  async measure(
    cell: Cell,
    operation: Operation,
    gates: readonly Gate[],
    arrangement: Arrangement,
  ): Promise<CellFigures[]> {
    const paths = [...this.#seam.paths].filter((path) => path.mode === (operation === 'read' ? 'pull' : 'push'))
    const lanes = this.#lanes(cell, paths)
    this.#accounts = []
    try {
      await this.#prepareBytes(operation, async () => {
        for (const gate of gates) {
          await this.#round({
            gate,
            arrangement,
            lanes,
            durationMs: this.#options.warmupMs,
            into: openAccount(gate, lanes),
            verifier: null,
          })
        }
      })
      const verifier = new Verifier(this.#pool, this.#far, cutOf(cell, this.#options))
      const each = await this.#rounds(gates, arrangement, lanes, verifier)
      const notify = await this.#notifyLatency()
      const { window } = this.#options
      return each.map((account) => cellFigures({ cell, operation, arrangement, lanes, account, notify, window }))
    } finally {
      for (const { near, far } of lanes.flatMap(({ slots }) => slots)) {
        near.release()
        far.release()
      }
    }
  }

  /** The side that is read from gets the noise; the other is cleared after the warm-up, so that nothing there looks arrived. */
  async #prepareBytes(operation: Operation, warmUp: () => Promise<void>): Promise<void> {
    const { seed } = this.#options
    if (operation === 'read') await this.#far.ask({ what: 'fill', seed })
    else this.#pool.fill(seed)
    await warmUp()
    if (operation === 'read') this.#pool.clear()
    else await this.#far.ask({ what: 'clear' })
  }

  async #rounds(
    gates: readonly Gate[],
    arrangement: Arrangement,
    lanes: readonly PathLanes[],
    verifier: Verifier,
  ): Promise<Account[]> {
    const { rounds, durationMs, verify } = this.#options
    const each = gates.map((gate) => openAccount(gate, lanes))
    this.#accounts = each
    for (let round = 0; round < rounds && !this.#signal.aborted; round++) {
      for (const account of round % 2 === 0 ? each : [...each].reverse()) {
        const before = await this.#cpuNs()
        const delay = monitorEventLoopDelay({ resolution: 1 }) // a new one: paused, it would count the pause
        delay.enable()
        await this.#round({
          gate: account.gate,
          arrangement,
          lanes,
          durationMs: durationMs / rounds,
          into: account,
          verifier: verify === 'each' ? verifier : null,
        })
        delay.disable()
        account.delays.push(delay)
        account.cpuNs += (await this.#cpuNs()) - before
        if (round < rounds - 1 || verify !== 'ends' || this.#signal.aborted) continue
        for (const [i, { arrivedIn }] of lanes.entries()) await verifier.checkArrived(arrivedIn, account.results[i]!)
      }
    }
    return each
  }

  async #round({ gate, arrangement, lanes, durationMs, into, verifier }: Round): Promise<void> {
    const { window, ratePerSecond, deadlineMs } = this.#options
    const one = async ({ path, slots, arrivedIn }: PathLanes, i: number): Promise<void> =>
      await drive({
        poster: (gate === 'on' ? gatedPoster : barePoster)(this.#seam, path, deadlineMs),
        slots,
        window,
        durationMs,
        ratePerSecond,
        signal: this.#signal,
        result: into.results[i]!,
        arrivedIn,
        mark: verifier?.mark,
        check: verifier?.check,
      })
    if (arrangement === 'contended') {
      await Promise.all(lanes.map(one))
      return
    }
    for (const [i, each] of lanes.entries()) await one(each, i)
  }

  /** Blocks in a scattered order of their own on either side, so many transfers of them as the pool holds. */
  #lanes(cell: Cell, paths: readonly Path[]): PathLanes[] {
    const { poolBytes, seed } = this.#options
    const cut = cutOf(cell, this.#options)
    const slotsOfPath = transfersInPool(cell, this.#options, paths.length)
    if (slotsOfPath < 1) {
      throw new SeamError(
        'KVSEAM_OUT_OF_BOUNDS',
        { cell: cell.name, transferBytes: cell.transferBytes, paths: paths.length, poolBytes },
        `${paths.length} paths need ${paths.length} transfers of '${cell.name}' in ${poolBytes} bytes; raise --memory`,
      )
    }
    const nearOrder = permutation(streamOf(seed, 'bench-near', cell.blockBytes), cut.poolBlocks)
    const farOrder = permutation(streamOf(seed, 'bench-far', cell.blockBytes), cut.poolBlocks)
    return paths.map((path, i) => {
      const prepare = new LatencyHistogram()
      const slots = Array.from({ length: slotsOfPath }, (_, j): Slot => {
        const first = (i * slotsOfPath + j) * cell.batch
        const nearIds = nearOrder.slice(first, first + cell.batch)
        const farIds = farOrder.slice(first, first + cell.batch)
        const start = performance.now()
        const near = this.#pool.blocks(cut, nearIds)
        const far = remoteBlocks(this.#peer, cut, farIds)
        prepare.record((performance.now() - start) * 1e6)
        return { near, far, nearIds, farIds }
      })
      return { path, slots, prepare, arrivedIn: new Map() }
    })
  }

  async #cpuNs(): Promise<number> {
    const { user, system } = process.cpuUsage()
    return (user + system) * 1e3 + (await this.#far.ask({ what: 'cpuNs' }))
  }

  async #notifyLatency(): Promise<LatencyHistogram> {
    const histogram = new LatencyHistogram()
    const payload = new Uint8Array(NOTIFY_BYTES)
    for (let i = 0; i < NOTIFIES && !this.#signal.aborted && !this.#peer.gone; i++) {
      const start = performance.now()
      try {
        await this.#near.notify(this.#peer, payload)
      } catch (error) {
        if (!SeamError.is(error)) throw error
        break // faults may hit it as they hit a transfer; the figures then rest on fewer samples
      }
      histogram.record((performance.now() - start) * 1e6)
    }
    return histogram
  }
}

interface Round {
  readonly gate: Gate
  readonly arrangement: Arrangement
  readonly lanes: readonly PathLanes[]
  readonly durationMs: number
  readonly into: Account
  readonly verifier: Verifier | null
}

function cutOf({ blockBytes, parts }: Cell, { poolBytes }: BenchOptions): Cut {
  return { blockBytes, parts, poolBlocks: Math.floor(poolBytes / (blockBytes * parts)) }
}
