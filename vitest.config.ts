// Processes, not threads: tests count the open regions, threads and file descriptors of the process they run in.
import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    pool: 'forks',
    // vitest would leave a CPU free, but what takes long here waits for deadlines and child processes.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    include: ['test/**/*.test.ts'],
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
})
