// KVSEAM_FAULTS_LOG: one JSON line for each set of rules and for each firing, without times, so that two runs of one seed
// can be compared with `diff` after sorting. Written at once: a fault may end the process next.

import { appendFileSync } from 'node:fs'
import { SeamError } from '../errors.js'
import type { ArmedFaults, Firing } from './armed-faults.js'

export class FiringLog {
  readonly file: string
  #failed = false

  /** @throws KVSEAM_RECORD_LOG when the file can't be written */
  constructor(file: string) {
    this.file = file
    try {
      appendFileSync(file, '')
    } catch (cause) {
      throw new SeamError(
        'KVSEAM_RECORD_LOG',
        { file },
        `KVSEAM_FAULTS_LOG names ${file}, which can't be written (${cause instanceof Error ? cause.message : cause})`,
        { cause },
      )
    }
  }

  begin(faults: ArmedFaults): void {
    const { origin, seed, text } = faults
    this.#append([{ schema: 'kvseam.faults/1', origin, seed, spec: text }])
  }

  write(firings: readonly Firing[]): void {
    this.#append(firings)
  }

  end(faults: ArmedFaults): void {
    const { rules, firingsLost } = faults.report()
    const counts = rules.map(({ rule, known, matched, fired }) => ({ rule, known, matched, fired }))
    this.#append([{ schema: 'kvseam.faults.end/1', seed: faults.seed, rules: counts, firingsLost }])
  }

  #append(lines: readonly object[]): void {
    if (this.#failed) return
    try {
      appendFileSync(this.file, lines.map((line) => `${JSON.stringify(line)}\n`).join(''))
    } catch {
      this.#failed = true // a full disk must not become a fault of its own
    }
  }
}
