// The run's hold on a peer process, which may be killed at any time and started again.

import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const CHILD = fileURLToPath(new URL('./peer.child.ts', import.meta.url))
const ANSWER_MS = 5000

export class ChaosPeer {
  readonly name: string
  readonly metadata: Uint8Array
  readonly #child: ChildProcess
  readonly #asked = new Map<number, (digest: number | null) => void>()
  #nextId = 1

  private constructor(name: string, child: ChildProcess, metadata: Uint8Array) {
    this.name = name
    this.#child = child
    this.metadata = metadata
    child.on('message', ({ id, digest }: { id: number; digest: number }) => {
      this.#asked.get(id)?.(digest)
      this.#asked.delete(id)
    })
    child.on('error', () => {}) // a signal or a question to a process that is gone
    child.on('exit', () => {
      for (const answer of this.#asked.values()) answer(null)
      this.#asked.clear()
    })
  }

  static async start(name: string, regionBytes: number): Promise<ChaosPeer> {
    const child = fork(CHILD, [name, String(regionBytes)], {
      execArgv: ['--import', 'tsx'],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    const [message] = (await once(child, 'message')) as [{ metadata: string }]
    return new ChaosPeer(name, child, Buffer.from(message.metadata, 'base64'))
  }

  /** CRC-32C of blocks as the peer sees them; null when it died before it answered. */
  async digest(blocks: readonly number[], blockBytes: number, region: 'kv' | 'zero'): Promise<number | null> {
    if (!this.#child.connected) return null
    const id = this.#nextId++
    return await new Promise((resolve) => {
      const timer = setTimeout(() => resolve(null), ANSWER_MS)
      this.#asked.set(id, (digest) => {
        clearTimeout(timer)
        resolve(digest)
      })
      this.#child.send({ id, region, blocks, blockBytes }, () => {}) // not sent: the process is gone, and its exit answers
    })
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    // Not events.once, which rejects on an 'error', and a question that was on its way may end with one (EPIPE).
    const gone = new Promise((resolve) => this.#child.once('exit', resolve))
    this.#child.kill('SIGKILL')
    await gone
  }
}
