// The decision log: JSON lines, written behind the event loop's back. A disk that fails or stalls costs records, never
// transfers; how many were lost is itself written down as soon as writing works again.

import { closeSync, openSync } from 'node:fs'
import { pino } from 'pino'
import { SeamError } from '../errors.js'

/** Bytes that may wait for the disk before records are dropped. */
const MOST_WAITING_BYTES = 16 * 1024 * 1024

export class RecordLog {
  readonly file: string
  readonly #sink: ReturnType<typeof pino.destination>
  #written = 0
  #lost = 0
  #lostSinceGap = 0
  #failure: Error | undefined

  /** @throws KVSEAM_RECORD_LOG when the file can't be opened for appending */
  constructor(file: string) {
    this.file = file
    try {
      closeSync(openSync(file, 'a'))
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
      this.#sink.write(`${JSON.stringify(gap)}\n`)
    }
    this.#written++
    this.#sink.write(`${JSON.stringify(record)}\n`)
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
