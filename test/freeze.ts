// Stops a child process and waits until it stands still: SIGSTOP is a request, and a thread that has not met it yet answers.

import type { ChildProcess } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

/** A dead child never stops; its test should say so instead of running into its own limit. */
const LIMIT_MS = 5000

export async function freeze(child: ChildProcess): Promise<void> {
  child.kill('SIGSTOP')
  const untilMs = performance.now() + LIMIT_MS
  while (!standsStill(child.pid!)) {
    if (performance.now() > untilMs) throw new Error(`process ${child.pid} did not stop within ${LIMIT_MS} ms`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

function standsStill(pid: number): boolean {
  return readdirSync(`/proc/${pid}/task`).every((task) => {
    const stat = readFileSync(`/proc/${pid}/task/${task}/stat`, 'utf8')
    return stat.charAt(stat.lastIndexOf(')') + 2) === 'T'
  })
}
