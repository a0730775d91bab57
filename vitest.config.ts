// Threads, not forks: a fork is stopped by SIGTERM, which hides leaks and loses native coverage.
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    pool: 'threads',
    include: ['test/**/*.test.ts'],
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
})
