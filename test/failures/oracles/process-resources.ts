// What one process holds: memory it registered, threads of the engine, descriptors, resident bytes. Meant for a process of
// its own, since test files share theirs.

import { readdirSync, readFileSync } from 'node:fs'
import { binding } from '../../../src/native/binding.js'

export interface ProcessResources {
  readonly regions: number
  readonly progressThreads: number
  readonly fds: number
  readonly residentBytes: number
}

export function processResources(): ProcessResources {
  const threads = readdirSync('/proc/self/task').filter((task) => {
    try {
      return readFileSync(`/proc/self/task/${task}/comm`, 'utf8').startsWith('kvseam-progress')
    } catch {
      return false // ended meanwhile
    }
  })
  return {
    regions: binding().liveRegions(),
    progressThreads: threads.length,
    fds: readdirSync('/proc/self/fd').length,
    residentBytes: process.memoryUsage.rss(),
  }
}
