// A program with the CLI's process frame and commands that end in ways that need a process to be seen. Run by process.test.ts.

import { setTimeout as sleep } from 'node:timers/promises'
import { LiveTable } from '../../src/cli/live-table.js'
import { runProcess } from '../../src/cli/process.js'

await runProcess([
  {
    name: 'wait',
    summary: 'wait for an interruption, clean up, return 0',
    load: async () => async (_, io) => {
      io.stdout('waiting')
      await sleep(20_000, undefined, { signal: io.signal }).catch(() => io.stdout('cleaned up'))
      return 0
    },
  },
  {
    name: 'ignore',
    summary: 'ignore the interruption',
    load: async () => async (_, io) => {
      io.stdout('waiting')
      await sleep(20_000)
      return 0
    },
  },
  {
    name: 'flood',
    summary: 'print for ever',
    load: async () => async (_, io) => {
      for (let i = 0; i < 1e6; i++) {
        io.stdout('x'.repeat(100))
        if (i % 100 === 0) await sleep(0)
      }
      return 1
    },
  },
  {
    name: 'draw',
    summary: 'die with the cursor hidden',
    load: async () => async (_, io) => {
      new LiveTable({ screen: io.screen }).draw(['table'], 0)
      setImmediate(() => {
        throw new Error('uncaught')
      })
      await sleep(20_000)
      return 0
    },
  },
])
