// The test's hold on a peer process: start it, freeze it, kill it, and never leave it behind.

import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { childEnvironment } from '../child-environment.js'
import { freeze } from '../freeze.js'

const CHILD = fileURLToPath(new URL('./peer.child.ts', import.meta.url))

export class PeerProcess {
  readonly metadata: Uint8Array
  readonly #child: ChildProcess

  private constructor(child: ChildProcess, metadata: Uint8Array) {
    this.#child = child
    this.metadata = metadata
  }

  /** @param bytesPerSecond of its rails; 0: as fast as memory */
  static async start(
    name: string,
    {
      fill = 1,
      bytesPerSecond = 0,
      env = {},
    }: { fill?: number; bytesPerSecond?: number; env?: NodeJS.ProcessEnv } = {},
  ): Promise<PeerProcess> {
    const child = fork(CHILD, [name, String(fill), String(bytesPerSecond)], {
      execArgv: ['--import', 'tsx'],
      stdio: ['ignore', 'ignore', env['KVSEAM_FAULTS'] === undefined ? 'inherit' : 'ignore', 'ipc'],
      env: childEnvironment(env),
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    const message = (await next(child)) as { metadata: string }
    return new PeerProcess(child, Buffer.from(message.metadata, 'base64'))
  }

  send(message: object): void {
    this.#child.send(message)
  }

  async next(): Promise<Record<string, unknown>> {
    return (await next(this.#child)) as Record<string, unknown>
  }

  /** The signal that ended it; null while it lives. */
  get signal(): NodeJS.Signals | null {
    return this.#child.signalCode
  }

  async kill(): Promise<void> {
    const gone = new Promise((resolve) => this.#child.once('exit', resolve))
    this.#child.kill('SIGKILL')
    await gone
  }

  /** Returns once every thread of it stands still. */
  async freeze(): Promise<void> {
    await freeze(this.#child)
  }

  thaw(): void {
    this.#child.kill('SIGCONT')
  }
}

function next(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    if (child.exitCode !== null || child.signalCode !== null) {
      reject(new Error('the peer process has ended'))
      return
    }
    const onMessage = (message: unknown): void => {
      child.off('exit', onExit)
      resolve(message)
    }
    const onExit = (code: number | null): void => {
      child.off('message', onMessage)
      reject(new Error(`the peer process ended with ${code}`))
    }
    child.once('message', onMessage)
    child.once('exit', onExit)
  })
}
