// A child process that plays the other end of a data plane: starting it, talking to it, and ending it within a bound.

import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { SeamError } from './errors.js'

const START_MS = 15_000
const STOP_MS = 1500

/** What every child says first: `ready` with whatever its parent needs, or why it can't. */
type Failed = { readonly kind: 'failed'; readonly message: string }

export class ChildEnd<To, From extends { readonly kind: string }> {
  readonly name: string
  readonly #child: ChildProcess
  #exited = false
  onMessage: (message: From) => void = () => {}
  /** The process ended, told to or not. */
  onExit: () => void = () => {}

  private constructor(name: string, child: ChildProcess) {
    this.name = name
    this.#child = child
    child.on('message', (message: From) => this.onMessage(message))
    child.once('exit', () => {
      this.#exited = true
      this.onExit()
    })
  }

  /**
   * @param script module to run, without its extension; the child runs the same form of the code as this process
   * @param from `import.meta.url` of the caller, which `script` is relative to
   * @param setup given to the child as its one argument, as JSON
   * @returns the end and its `ready` message
   * @throws KVSEAM_PEER_DOWN when the process does not come up
   */
  static async start<To, From extends { readonly kind: string }>(
    name: string,
    script: string,
    from: string,
    setup: unknown,
  ): Promise<{ end: ChildEnd<To, From>; ready: Extract<From, { readonly kind: 'ready' }> }> {
    const file = fileURLToPath(new URL(`${script}.${from.endsWith('.ts') ? 'ts' : 'js'}`, from))
    const child = fork(file, [JSON.stringify(setup)], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      serialization: 'advanced', // typed arrays cross as they are
    })
    const down = (why: string): SeamError =>
      new SeamError('KVSEAM_PEER_DOWN', { process: name }, `process '${name}' did not start: ${why}`)
    return await new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        child.kill('SIGKILL')
        reject(down(`no sign of it after ${START_MS / 1000} s`))
      }, START_MS)
      child.once('exit', (code) => {
        clearTimeout(timer)
        reject(down(`it ended with code ${code}`))
      })
      child.once('message', (message: From | Failed) => {
        clearTimeout(timer)
        child.removeAllListeners('exit')
        if (message.kind === 'ready') {
          const ready = message as Extract<From, { readonly kind: 'ready' }>
          resolve({ end: new ChildEnd<To, From>(name, child), ready })
          return
        }
        child.kill('SIGKILL')
        reject(down(message.kind === 'failed' ? (message as Failed).message : 'it said something unexpected'))
      })
    })
  }

  get exited(): boolean {
    return this.#exited
  }

  /** Says nothing when the process is gone. */
  say(message: To): void {
    if (this.#child.connected) this.#child.send(message as object, () => {})
  }

  /** Says `last` and waits for the end, which comes by force after 1.5 s. */
  async stop(last: To): Promise<void> {
    if (this.#exited) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MS)
      this.#child.once('exit', () => {
        clearTimeout(timer)
        resolve()
      })
      this.say(last)
    })
  }
}
