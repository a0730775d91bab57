// What a demo shows while it runs: progress, the paths with their state, and who was admitted where.

import { formatRate, type Paint, table } from '../cli/text.js'
import { CLASSES } from './plan.js'
import type { DemoRun } from './run.js'
import { PREFILL } from './stage.js'

const BAR = 24

export class DemoView {
  readonly #paint: Paint
  readonly #bytes = new Map<string, { bytes: number; atMs: number; rate: number }>()

  constructor(paint: Paint) {
    this.#paint = paint
  }

  lines(run: DemoRun): string[] {
    const elapsed = run.elapsedMs()
    const done = Math.min(1, elapsed / run.plan.durationMs)
    const { classes, verified, mismatched } = run.tally
    const seen = CLASSES.reduce((sum, name) => sum + classes[name].requests, 0)
    const filled = Math.round(done * BAR)
    const fault = run.fault
    const on = fault !== undefined && elapsed >= fault.fromMs && elapsed < fault.toMs
    return [
      `${'█'.repeat(filled)}${'░'.repeat(BAR - filled)} ${(elapsed / 1000).toFixed(1)} s  ` +
        `${seen}/${run.plan.requests.length} requests, ${run.inFlight} in flight, ${verified} verified, ${mismatched} mismatched` +
        (on ? `  ${this.#paint.yellow('fault on')}` : ''),
      '',
      ...this.#table(run),
    ]
  }

  /** One plain line for output that is no terminal. */
  line(run: DemoRun): string {
    const states = [...run.seam.paths]
      .filter((path) => path.from === PREFILL)
      .map((path) => `${path.id.split('>')[1]} ${path.state}`)
    const { verified } = run.tally
    return `${(run.elapsedMs() / 1000).toFixed(1).padStart(5)} s ${verified} verified, ${run.inFlight} in flight; ${states.join(', ')}`
  }

  #table(run: DemoRun): string[] {
    const rows: string[][] = [['path', 'state', 'p99', 'jitter', ...CLASSES.map((name) => `${name} ✓/✗`), 'moved']]
    for (const path of run.seam.paths) {
      const counts = run.tally.paths.get(path.id)
      if (counts === undefined) continue
      const { state, p99Ms, jitterMs } = path.health
      rows.push([
        path.id,
        this.#state(state),
        `${p99Ms.toFixed(1)} ms`,
        `${jitterMs.toFixed(1)} ms`,
        ...CLASSES.map((name) => `${counts[name].chosen}/${counts[name].refused}`),
        formatRate(this.#rate(run, path.id, path.counters.bytes)),
      ])
    }
    return table(rows)
  }

  #state(state: string): string {
    const { green, yellow, red, cyan } = this.#paint
    if (state === 'healthy') return green(state)
    if (state === 'restored') return cyan(state)
    return state === 'degraded_usable' ? yellow(state) : red(state)
  }

  /** Over the time since the last look, smoothed a little. */
  #rate(run: DemoRun, path: string, bytes: number): number {
    const atMs = run.elapsedMs()
    const last = this.#bytes.get(path)
    if (last === undefined) {
      this.#bytes.set(path, { bytes, atMs, rate: 0 })
      return 0
    }
    if (atMs - last.atMs < 200) return last.rate
    const now = ((bytes - last.bytes) / (atMs - last.atMs)) * 1000
    const rate = last.rate * 0.6 + now * 0.4
    this.#bytes.set(path, { bytes, atMs, rate })
    return rate
  }
}
