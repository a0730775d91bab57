// How many bytes of JavaScript heap a piece of code takes, collected or not.

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

// The flag works at run time, so a benchmark needs no option on its command line.
setFlagsFromString('--expose-gc')
/** Collects garbage now; native finalizers run a little later. */
export const collect = runInNewContext('gc') as () => void

/** Without what the look itself takes. Code measured here stays below a MiB, so that nothing is collected half-way. */
export function allocatedBytes(code: () => void): number {
  return Math.max(0, growth(code) - growth(() => {}))
}

function growth(code: () => void): number {
  collect()
  const before = process.memoryUsage().heapUsed
  code()
  return process.memoryUsage().heapUsed - before
}
