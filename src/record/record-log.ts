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
  /** Bytes of each record that has not reached the file yet, oldest first; of the first one, what is left. */
  readonly #waiting: number[] = []
  #waitingBytes = 0
  /** Lines given to the sink, and how many of them have reached the file. */
  #handed = 0
  #reached = 0
  /** Which of those that have not are gap records: they tell of losses and are none. */
  readonly #gapsWaiting: number[] = []
  /** Before the first record: ends the line that a writer before this one did not. */
  #lead = ''
  #written = 0
  #dropped = 0
  #droppedSinceGap = 0
  #failure: Error | undefined
  #closing: Promise<void> | undefined
  #closed = false

  /** @throws KVSEAM_RECORD_LOG when the file can't be opened for appending */
  constructor(file: string) {
    this.file = file
    try {
      if (endsInsideALine(file)) this.#lead = '\n'
    } catch (cause) {
      throw new SeamError(
        'KVSEAM_RECORD_LOG',
        { file },
        `the record log ${file} can't be written (${cause instanceof Error ? cause.message : cause}); choose a folder that exists and is writable`,
        { cause },
      )
    }
    this.#sink = pino.destination({ dest: file, sync: false, minLength: 8192 })
    this.#sink.on('write', (bytes: number) => this.#arrived(bytes))
    // What failed stays in the sink and is tried again with the next record, so nothing is lost yet.
    this.#sink.on('error', (error: Error) => {
      this.#failure = error
    })
  }

  get written(): number {
    return this.#written
  }

  /** Records that never reached the file: dropped while it could not be written, or still waiting at the end. */
  get lost(): number {
    return this.#dropped + (this.#closed ? this.#waiting.length - this.#gapsWaiting.length : 0)
  }

  get failure(): Error | undefined {
    return this.#failure
  }

  write(record: object): void {
    if (this.#closing !== undefined) return
    this.#tellGap()
    this.#written++
    if (this.#hand(record)) return
    this.#dropped++
    this.#droppedSinceGap++
  }

  /** Waits for what is written so far to reach the file; at most `timeoutMs`. Idempotent. */
  async close(timeoutMs = 2000): Promise<void> {
    if (this.#closing === undefined) this.#tellGap()
    this.#closing ??= new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        this.#closed = true
        // Gives the descriptor back also when the file can't be written.
        this.#sink.destroy()
        resolve()
      }
      const timer = setTimeout(done, timeoutMs)
      this.#sink.once('close', done)
      this.#sink.once('error', done)
      this.#sink.end()
    })
    await this.#closing
  }

  /** As soon as there is room, so that a reader can tell a gap from an end. */
  #tellGap(): void {
    if (this.#droppedSinceGap === 0) return
    const lost = this.#droppedSinceGap
    if (!this.#hand({ schema: 'kvseam.gap/1', lost })) return
    this.#droppedSinceGap = 0
    this.#gapsWaiting.push(this.#handed)
  }

  /** False when there is no room. Asked before the record is chained: a line that is never written is no link. */
  #hand(record: object): boolean {
    if (this.#waitingBytes >= MOST_WAITING_BYTES) {
      this.#sink.flush() // tries again what failed; nothing else would, since nothing is handed over any more
      return false
    }
    const line = `${this.#lead}${this.#chain.link(JSON.stringify(record))}\n`
    this.#lead = ''
    const bytes = Buffer.byteLength(line)
    this.#waiting.push(bytes)
    this.#waitingBytes += bytes
    this.#handed++
    this.#sink.write(line)
    return true
  }

  #arrived(bytes: number): void {
    this.#waitingBytes -= bytes
    let left = bytes
    let whole = 0
    while (whole < this.#waiting.length && left >= this.#waiting[whole]!) left -= this.#waiting[whole++]!
    this.#waiting.splice(0, whole)
    this.#reached += whole
    while (this.#gapsWaiting.length > 0 && this.#gapsWaiting[0]! <= this.#reached) this.#gapsWaiting.shift()
    if (left > 0 && this.#waiting.length > 0) this.#waiting[0]! -= left
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
