// Ends what a stuck progress thread cannot end any more. Deadlines are that thread's work; while it hangs inside a library
// call nothing settles, so this thread looks now and then, for as long as an outcome is owed.

const EVERY_MS = 15
/** A turn of the progress thread takes microseconds; longer than this and it is stuck, or not scheduled. */
const STUCK_NS = 20e6

export class Watchdog {
  readonly #lagNs: () => number
  readonly #onStuck: (lagNs: number) => void
  #timer: NodeJS.Timeout | undefined
  #needed = false

  /**
   * @param lagNs how long the progress thread has been inside one turn of its loop
   * @param onStuck called again and again while it is stuck
   */
  constructor(lagNs: () => number, onStuck: (lagNs: number) => void) {
    this.#lagNs = lagNs
    this.#onStuck = onStuck
  }

  watch(): void {
    this.#needed = true
    this.#timer ??= setInterval(() => this.#look(), EVERY_MS)
    this.#timer.unref()
  }

  /** The timer ends by itself, at a tick with nothing left to watch, so that a busy agent does not start one a transfer. */
  rest(): void {
    this.#needed = false
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #look(): void {
    if (!this.#needed) {
      this.stop()
      return
    }
    const lagNs = this.#lagNs()
    if (lagNs > STUCK_NS) this.#onStuck(lagNs)
  }
}
