// The table of commands. Each is imported only when called, so that `kvseam version` needs no native addon.

import type { CommandEntry } from './command.js'

export const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'bench',
    summary: 'measure transfers by block size, batch, path and gate, and compare with an earlier run',
    load: async () => (await import('./bench.js')).benchCommand,
  },
  {
    name: 'demo',
    summary: 'replay a request trace over live paths, break one, and watch the policy route around it',
    load: async () => (await import('./demo.js')).demoCommand,
  },
  {
    name: 'doctor',
    summary: 'say what this machine has and lacks, and what to do about it',
    load: async () => (await import('./doctor.js')).doctorCommand,
  },
  {
    name: 'explain',
    summary: 'say in sentences why a decision came out as it did',
    load: async () => (await import('./explain.js')).explainCommand,
  },
  {
    name: 'replay',
    summary: 'run a record log through the policy again, as recorded or under another configuration',
    load: async () => (await import('./replay.js')).replayCommand,
  },
  {
    name: 'probe',
    summary: 'measure round trip, reads and writes of every path between agents on this machine',
    load: async () => (await import('./probe.js')).probeCommand,
  },
  {
    name: 'reference',
    summary: 'check the reference policy against the published vectors',
    load: async () => (await import('./reference.js')).referenceCommand,
  },
  {
    name: 'rebuild',
    summary: 'compile the native addon on this machine',
    load: async () => (await import('./rebuild.js')).rebuildCommand,
  },
  {
    name: 'version',
    summary: 'print the version of kvseam and of Node.js',
    load: async () => (await import('./version.js')).versionCommand,
  },
]
