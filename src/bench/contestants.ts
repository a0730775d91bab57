// What kvseam is measured beside: plain native code on the same blocks, and the transport's own tools. Each runs in processes
// of its own, ends within a bound, and is taken at its own word about its rate.

import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { SeamError } from '../errors.js'
import type { Cell } from './axes.js'

const LIMIT_MS = 60_000
/** Time a tool's server has to listen; the client is tried again until then. */
const LISTEN_MS = 5_000
const ROUND_BYTES = 64 * 2 ** 20

export interface Contestant {
  readonly name: string
  readonly about: string
  /** One round of one cell over a pool of so many blocks, bytes a second. @throws KVSEAM_BACKEND_UNAVAILABLE with what the tool said */
  round(cell: Cell, poolBlocks: number, seconds: number, seed: number): Promise<number>
}

export const CONTESTANTS = {
  memcpy: native('memcpy', 'plain_peer', ['memcpy'], 'one memcpy a block, one thread, in C'),
  tcp: native('tcp', 'plain_peer', ['tcp'], 'one TCP stream over loopback and an acknowledgement, in C'),
  'ucx-put': native('ucx-put', 'ucx_peer', ['put'], 'UCP put, flush and an acknowledged message, in C'),
  'ucx-get': native('ucx-get', 'ucx_peer', ['get'], 'UCP get, in C'),
  'ucx-am': perftest('ucx-am', 'ucp_am_bw', 'ucx_perftest, active messages of a block; one buffer, so cached'),
  'ucx-tag': perftest('ucx-tag', 'tag_bw', 'ucx_perftest, tagged messages of a block; one buffer, so cached'),
  'fi-pingpong': pingpong(),
} as const satisfies Record<string, Contestant>

export type ContestantName = keyof typeof CONTESTANTS

/** Which of them use the same transport as a backend, and what the machine itself can do. */
export function usualContestants(backend: string): ContestantName[] {
  if (backend === 'ucx') return ['ucx-put', 'ucx-get', 'ucx-am', 'ucx-tag', 'tcp', 'memcpy']
  if (backend === 'libfabric') return ['fi-pingpong', 'tcp', 'memcpy']
  return ['memcpy', 'tcp']
}

function native(name: string, program: string, words: readonly string[], about: string): Contestant {
  // From src/bench/ and from dist/bench/ alike.
  const file = fileURLToPath(new URL(`../../.cmake/bench/${program}`, import.meta.url))
  return {
    name,
    about,
    async round(cell, poolBlocks, seconds, seed) {
      if (!existsSync(file)) {
        throw unavailable(name, `${program} is not compiled; in a checkout run "node scripts/build-bench-peers.mjs"`)
      }
      const figures = [cell.blockBytes, cell.batch, poolBlocks, seconds, seed].map(String)
      const said = await run(name, file, [...words, ...figures])
      const rate = (JSON.parse(said) as { bytesPerSecond?: unknown }).bytesPerSecond
      if (typeof rate !== 'number') throw unavailable(name, `it said ${JSON.stringify(said)}`)
      return rate
    },
  }
}

function perftest(name: string, testName: string, about: string): Contestant {
  return {
    name,
    about,
    async round(cell) {
      const count = Math.min(20_000, Math.max(100, Math.floor(ROUND_BYTES / cell.blockBytes)))
      const said = await withServer(name, 'ucx_perftest', (port) => [
        ['-p', String(port)],
        [
          '127.0.0.1',
          '-p',
          String(port),
          '-t',
          testName,
          '-s',
          String(cell.blockBytes),
          '-n',
          String(count),
          '-w',
          '100',
        ],
      ])
      // Columns after the word: iterations, three overheads in us, then MiB/s on average and over the whole run.
      const overall = /^Final:\s+(.*)$/m.exec(said)?.[1]?.trim().split(/\s+/)[5]
      return rateIn(name, overall, 2 ** 20, said)
    },
  }
}

function pingpong(): Contestant {
  const name = 'fi-pingpong'
  return {
    name,
    about: 'fi_pingpong over tcp;ofi_rxm, messages of a block, there and back',
    async round(cell) {
      const count = Math.min(10_000, Math.max(100, Math.floor(ROUND_BYTES / cell.blockBytes)))
      const words = ['-p', 'tcp;ofi_rxm', '-e', 'rdm', '-S', String(cell.blockBytes), '-I', String(count)]
      const said = await withServer(name, 'fi_pingpong', (port) => [
        [...words, '-B', String(port)],
        [...words, '-P', String(port), '127.0.0.1'],
      ])
      // Columns: bytes, sent, acknowledged, total, time, MB/s, us a transfer, million transfers a second.
      const columns = said.trim().split('\n').at(-1)?.trim().split(/\s+/)
      return rateIn(name, columns?.[5], 1e6, said)
    },
  }
}

function rateIn(name: string, text: string | undefined, unit: number, said: string): number {
  const value = Number(text)
  if (text === undefined || !(value > 0)) throw unavailable(name, `no rate in what it said: ${lastLine(said)}`)
  return value * unit
}

async function withServer(
  name: string,
  program: string,
  wordsFor: (port: number) => [server: string[], client: string[]],
): Promise<string> {
  const port = await freePort()
  const [serverWords, clientWords] = wordsFor(port)
  const server = spawn(program, serverWords, { stdio: 'ignore' })
  const started = performance.now()
  let missing: Error | undefined
  server.once('error', (error) => {
    missing = error
  })
  try {
    for (;;) {
      await sleep(150)
      if (missing !== undefined) throw unavailable(name, `${program} cannot be run: ${missing.message}`)
      try {
        return await run(name, program, clientWords)
      } catch (error) {
        if (server.exitCode !== null || performance.now() - started > LISTEN_MS) throw error
      }
    }
  } finally {
    server.kill('SIGKILL')
  }
}

async function freePort(): Promise<number> {
  return await new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}

/** @returns standard output. @throws KVSEAM_BACKEND_UNAVAILABLE when it fails, or has not ended after a minute */
async function run(name: string, program: string, words: readonly string[]): Promise<string> {
  return await new Promise((resolve, reject) => {
    const child: ChildProcess = spawn(program, words, {
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: LIMIT_MS,
      killSignal: 'SIGKILL',
    })
    let out = ''
    let complaint = ''
    child.stdout?.on('data', (text) => {
      out += text
    })
    child.stderr?.on('data', (text) => {
      complaint += text
    })
    child.once('error', (error) => reject(unavailable(name, `${program} cannot be run: ${error.message}`)))
    child.once('close', (code) => {
      if (code === 0) resolve(out)
      else reject(unavailable(name, code === null ? `no end after ${LIMIT_MS / 1000} s` : lastLine(complaint || out)))
    })
  })
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1)?.trim() || 'nothing'
}

function unavailable(name: string, why: string): SeamError {
  return new SeamError('KVSEAM_BACKEND_UNAVAILABLE', { contestant: name }, `${name}: ${why}`)
}
