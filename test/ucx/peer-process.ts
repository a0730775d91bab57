// Another process with an agent, from the parent's side. Ends with the test that started it.

import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { childEnvironment } from '../child-environment.js'
import type { ToPeer } from './peer.child.js'

const CHILD = fileURLToPath(new URL('./peer.child.ts', import.meta.url))
const ANSWER_MS = 60_000

export class PeerProcess {
  readonly child: ChildProcess
  readonly said: Record<string, unknown>[] = []
  #waiting: (() => void)[] = []

  private constructor(child: ChildProcess) {
    this.child = child
    child.on('message', (message) => {
      this.said.push(message as Record<string, unknown>)
      for (const wake of this.#waiting.splice(0)) wake()
    })
    child.on('exit', () => {
      for (const wake of this.#waiting.splice(0)) wake()
    })
  }

  static async start(
    name: string,
    { devices = 'tcp/lo', bytes = 1 << 20 } = {},
  ): Promise<PeerProcess & { metadata: Buffer }> {
    const child = fork(CHILD, [name, devices, String(bytes)], {
      execArgv: ['--import', 'tsx'],
      env: childEnvironment(),
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    const peer = new PeerProcess(child)
    const metadata = Buffer.from(String(await peer.hears('metadata')), 'base64')
    return Object.assign(peer, { metadata })
  }

  say(message: ToPeer): void {
    this.child.send(message)
  }

  /** The value of the first message that has this key; each is told once. */
  async hears(key: string): Promise<unknown> {
    const until = performance.now() + ANSWER_MS
    for (;;) {
      const at = this.said.findIndex((message) => key in message)
      if (at >= 0) return this.said.splice(at, 1)[0]![key]
      const left = until - performance.now()
      if (left <= 0 || this.child.exitCode !== null || this.child.signalCode !== null) {
        throw new Error(`no '${key}' from the peer (exit ${this.child.exitCode}, signal ${this.child.signalCode})`)
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.min(left, 1000))
        this.#waiting.push(() => {
          clearTimeout(timer)
          resolve()
        })
      })
    }
  }

  async exited(): Promise<{ code: number | null; signal: string | null }> {
    const { child } = this
    if (child.exitCode === null && child.signalCode === null)
      await new Promise((resolve) => child.once('exit', resolve))
    return { code: child.exitCode, signal: child.signalCode }
  }
}
