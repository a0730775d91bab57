// The record log: JSON lines tied into a hash chain, written behind the event loop's back. A disk that fails or stalls costs
// records, never transfers; how many were lost is itself written down as soon as writing works again.

import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { pino } from 'pino'
import { SeamError } from '../errors.js'
import { Chain } from './chain.js'

/** Bytes that may wait for the disk before records are dropped. */
const MOST_WAITING_BYTES = 16 * 1024 * 1024

export class RecordLog {
  readonly file: string
  readonly #sink: ReturnType<typeof pino.destination>
  readonly #chain = new Chain()
  #written = 0
  #lost = 0
  #lostSinceGap = 0
  #failure: Error | undefined

  /** @throws KVSEAM_RECORD_LOG when the file can't be opened for appending */
  constructor(file: string) {
    this.file = file
    let torn = false
    try {
      torn = endsInsideALine(file)
    } catch (cause) {
      throw new SeamError(
        'KVSEAM_RECORD_LOG',
        { file },
        `the record log ${file} can't be written (${cause instanceof Error ? cause.message : cause}); choose a folder that exists and is writable`,
        { cause },
      )
    }
    this.#sink = pino.destination({ dest: file, sync: false, minLength: 8192, maxLength: MOST_WAITING_BYTES })
    this.#sink.on('drop', () => this.#lose())
    this.#sink.on('error', (error: Error) => {
      this.#failure = error
      this.#lose()
    })
    if (torn) this.#sink.write('\n')
  }

  get written(): number {
    return this.#written
  }

  /** Records that never reached the file. */
  get lost(): number {
    return this.#lost
  }

  get failure(): Error | undefined {
    return this.#failure
  }

  write(record: object): void {
    if (this.#lostSinceGap > 0) {
      const gap = { schema: 'kvseam.gap/1', lost: this.#lostSinceGap }
      this.#lostSinceGap = 0
      this.#sink.write(`${this.#chain.link(JSON.stringify(gap))}\n`)
    }
    this.#written++
    this.#sink.write(`${this.#chain.link(JSON.stringify(record))}\n`)
  }

  /** Waits for what is written so far to reach the file; at most `timeoutMs`. */
  async close(timeoutMs = 2000): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeoutMs)
      const done = (): void => {
        clearTimeout(timer)
        resolve()
      }
      this.#sink.once('close', done)
      this.#sink.once('error', done)
      this.#sink.end()
    })
  }

  #lose(): void {
    this.#lost++
    this.#lostSinceGap++
  }
}

/** What a writer that died in the middle of a record left behind; the next record must not be glued to it. */
function endsInsideALine(file: string): boolean {
  const descriptor = openSync(file, 'a+')
  try {
    const { size } = fstatSync(descriptor)
    const last = Buffer.alloc(1)
    return size > 0 && readSync(descriptor, last, 0, 1, size - 1) === 1 && last[0] !== 0x0a
  } finally {
    closeSync(descriptor)
  }
}
