// Which machine, versions and load a measurement came from. A figure without this block says nothing.

import { readFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os'

export interface Environment {
  readonly kvseam: string
  readonly node: string
  readonly platform: string
  readonly kernel: string
  readonly cpu: string
  readonly cpus: number
  readonly memoryBytes: number
  /** Runnable threads over the last minute when the measurement began; above `cpus`, others were in the way. */
  readonly load1m: number
  /** When the measurement began, ISO 8601. */
  readonly startedAt: string
}

export function environment(): Environment {
  return {
    kvseam: packageVersion(),
    node: process.version,
    platform: `${process.platform}-${process.arch}`,
    kernel: release(),
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cpus: availableParallelism(),
    memoryBytes: totalmem(),
    load1m: loadavg()[0] ?? 0,
    startedAt: new Date().toISOString(),
  }
}

/** package.json lies two folders up from src/bench/ and from dist/bench/ alike. */
function packageVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return String((JSON.parse(text) as { version?: unknown }).version)
}
