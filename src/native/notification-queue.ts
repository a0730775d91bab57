// Control messages that wait for their readers: in order of arrival, each to one reader, no more than a bound, until the end.

export interface Notification {
  /** Name the sender gave in its handshake. */
  readonly from: string
  readonly data: Uint8Array
}

/** Messages that wait here; later ones are dropped and counted, since a reader that never reads must not eat the process. */
const MOST_WAITING = 65_536

export class NotificationQueue {
  readonly #waiting: Notification[] = []
  #readers: (() => void)[] = []
  #dropped = 0
  #ended = false

  get dropped(): number {
    return this.#dropped
  }

  push(notification: Notification): void {
    if (this.#waiting.length >= MOST_WAITING) {
      this.#dropped++
      return
    }
    this.#waiting.push(notification)
    this.#wake()
  }

  end(): void {
    this.#ended = true
    this.#wake()
  }

  async *read(): AsyncGenerator<Notification, void, void> {
    while (!this.#ended) {
      // One at a time: what a reader took and never looked at would be lost to the others.
      const next = this.#waiting.shift()
      if (next !== undefined) {
        yield next
      } else {
        await new Promise<void>((resolve) => {
          this.#readers.push(resolve)
        })
      }
    }
  }

  #wake(): void {
    const readers = this.#readers
    this.#readers = []
    for (const wake of readers) wake()
  }
}
