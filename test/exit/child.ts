// Starts a child process of this folder's kind and reports how it ended. Exit and crash behaviour can be seen in no other way.

import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'

/** How often a scenario that could fail by chance is repeated; the long form is KVSEAM_LOOPS=200. */
export const LOOPS = Number(process.env['KVSEAM_LOOPS'] ?? 3)
/** Under a sanitizer, with other work on the machine, a start alone takes seconds. */
export const CHILD_TIMEOUT_MS = 60_000 + LOOPS * 5_000

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly out: string
  readonly err: string
  /** From the kill, or from the line `now`, to the end; the part that must be bounded. */
  readonly endingMs: number
}

export interface Running {
  readonly child: ChildProcess
  /** Resolves when the child has printed a line that contains the text. */
  said(text: string): Promise<void>
  readonly ended: Promise<Ended>
}

/**
 * @param abrupt it ends without tearing anything down, as process.exit() does: whatever node still holds then, its own heap
 *   first of all, would look like leaks to a leak checker
 */
export function start(
  script: string,
  args: readonly string[],
  { nodeOptions = [], abrupt = false }: { nodeOptions?: readonly string[]; abrupt?: boolean } = {},
): Running {
  const file = fileURLToPath(new URL(script, import.meta.url))
  const child = spawn(process.execPath, [...nodeOptions, '--import', 'tsx', file, ...args], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    env: {
      ...process.env,
      NODE_NO_WARNINGS: '1',
      ...(abrupt ? { ASAN_OPTIONS: `${process.env['ASAN_OPTIONS'] ?? ''}:detect_leaks=0` } : {}),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const text = { out: '', err: '' }
  let fromMs = performance.now()
  const waiting = new Set<() => void>()
  child.stdout.on('data', (chunk: Buffer) => {
    text.out += chunk
    if (text.out.includes('now\n')) fromMs = performance.now()
    for (const look of waiting) look()
  })
  child.stderr.on('data', (chunk: Buffer) => {
    text.err += chunk
  })
  const ended = new Promise<Ended>((resolve) => {
    child.on('close', (code, signal) => resolve({ code, signal, ...text, endingMs: performance.now() - fromMs }))
  })
  return {
    child,
    ended,
    async said(wanted) {
      await new Promise<void>((resolve, reject) => {
        const look = (): void => {
          if (!text.out.includes(wanted)) return
          waiting.delete(look)
          resolve()
        }
        waiting.add(look)
        look()
        void ended.then(() => reject(new Error(`it ended without saying '${wanted}': ${text.out}${text.err}`)))
      })
    },
  }
}
