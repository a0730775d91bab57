// CPU time and number of this process's threads, as the kernel counts them. process.cpuUsage() adds all threads up, and the
// question here is what the JavaScript thread pays.

import { readdirSync, readFileSync } from 'node:fs'

/** Nanoseconds that the main thread has run; it does not grow while the thread waits or is preempted. */
export function mainThreadCpuNs(): number {
  const [ranNs] = readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ')
  return Number(ranNs)
}

/** Nanoseconds that all threads of the process have run. */
export function processCpuNs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) * 1e3
}

export function threadCount(): number {
  return readdirSync('/proc/self/task').length
}

export function openFileCount(): number {
  return readdirSync('/proc/self/fd').length
}
