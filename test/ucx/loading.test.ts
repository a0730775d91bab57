// Loading UCX does not hurt the process: traps, signals and exits work as before.

import { spawn } from 'node:child_process'
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'
import { childEnvironment } from '../child-environment.js'
import { ucxHere } from './ucx-here.js'

const CHILD = fileURLToPath(new URL('./loading.child.ts', import.meta.url))
/** Folder of another, newer libucp.so.0, such as libucx/lib of the Python wheel libucx-cu12; the test is skipped without. */
const OTHER_UCX = process.env['KVSEAM_TEST_UCX_LIBRARY']
/** KVSEAM_EXIT_ROUNDS=200 for the long form. */
const ROUNDS = Number(process.env['KVSEAM_EXIT_ROUNDS'] ?? 6)

function start(what: string, env: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, ['--import', 'tsx', CHILD, what], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: childEnvironment(env),
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  let out = ''
  const ended = new Promise<{ code: number | null; signal: string | null; out: string }>((resolve) => {
    child.on('close', (code, signal) => resolve({ code, signal, out }))
  })
  const printed = new Promise<void>((resolve) => {
    child.stdout.on('data', (data) => {
      out += data
      resolve()
    })
  })
  return { child, ended, printed }
}

describe.skipIf(!ucxHere)('a process that loaded UCX', { timeout: 600_000 }, () => {
  it('still gets an exception out of a WebAssembly trap', async () => {
    expect(await start('wasm').ended).toEqual({ code: 0, signal: null, out: 'trapped\n' })
  })

  it('still hears SIGTERM in JavaScript', async () => {
    const { child, ended, printed } = start('sigterm')
    await printed
    child.kill('SIGTERM')
    expect(await ended).toEqual({ code: 0, signal: null, out: 'waiting\ntold to end\n' })
  })

  it(`ends normally, ${ROUNDS} times, with and without closing`, async () => {
    for (let round = 0; round < ROUNDS; round++) {
      expect(await start(round % 2 === 0 ? 'exit' : 'close').ended).toMatchObject({ code: 0, signal: null })
    }
  })

  it('warns when a second copy of a transport library is in it, and only then', async () => {
    const folder = mkdtempSync(`${tmpdir()}/kvseam-twin-`)
    onTestFinished(() => rmSync(folder, { recursive: true }))
    // A harmless library under the name of a transport's: copies are told by their file names, as wheels rename them.
    const harmless = /\S+\/libm\.so\.6$/m.exec(readFileSync('/proc/self/maps', 'utf8'))![0]
    const copy = `${folder}/libucp-1a2b3c4d.so.0`
    copyFileSync(harmless, copy)
    const preloaded = [process.env['LD_PRELOAD'], copy].filter((path) => path !== undefined && path !== '').join(':')
    const [alone, twins] = await Promise.all([start('twins').ended, start('twins', { LD_PRELOAD: preloaded }).ended])
    expect(alone).toEqual({ code: 0, signal: null, out: '0 false\n' })
    expect(twins).toEqual({ code: 0, signal: null, out: '1 true\n' })
  })

  it.skipIf(OTHER_UCX === undefined)('works with a newer library than its headers, and says which', async () => {
    const [here, other] = await Promise.all([
      start('version').ended,
      start('version', { LD_LIBRARY_PATH: `${OTHER_UCX}:${OTHER_UCX}/../../libucx_cu12.libs` }).ended,
    ])
    expect(other).toMatchObject({ code: 0, signal: null, out: expect.stringMatching(/^\d+\.\d+\.\d+ true\n$/) })
    expect(other.out).not.toBe(here.out)
  })
})
