// A CommandIo that keeps what it is given.

import type { CommandIo } from '../../src/cli/command.js'

export interface FakeIo extends CommandIo {
  readonly out: string[]
  readonly err: string[]
}

export function fakeIo(given: Partial<Pick<CommandIo, 'columns' | 'env' | 'isTty'>> = {}): FakeIo {
  const out: string[] = []
  const err: string[] = []
  return {
    out,
    err,
    stdout: (line) => void out.push(line),
    stderr: (line) => void err.push(line),
    isTty: false,
    columns: 80,
    env: {},
    ...given,
  }
}
