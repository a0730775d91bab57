// `kvseam rebuild` where it cannot succeed; that it succeeds is shown on the installed package (scripts/test-package.mjs).

import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { compileAddon, rebuildCommand } from '../../src/cli/rebuild.js'
import { fakeIo } from './fake-io.js'

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kvseam-rebuild-'))
})

afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

/** An environment whose PATH has these programs, given as shell scripts, and nothing else. */
function machineWith(programs: Record<string, string>): { PATH: string } {
  const bin = join(folder, 'bin')
  mkdirSync(bin)
  for (const [name, script] of Object.entries(programs)) {
    writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`)
    chmodSync(join(bin, name), 0o755)
  }
  return { PATH: bin }
}

/** A package folder with just enough for node-gyp to start. */
function emptyPackage(): string {
  const root = join(folder, 'package')
  mkdirSync(root)
  writeFileSync(join(root, 'package.json'), '{"name":"kvseam"}')
  writeFileSync(join(root, 'binding.gyp'), '{"targets":[{"target_name":"kvseam","type":"none"}]}')
  cpSync(new URL('../../native/node-api', import.meta.url), join(root, 'native/node-api'), { recursive: true })
  return root
}

test('names every missing tool and how to install it', async () => {
  const io = fakeIo({ env: machineWith({}) })
  expect(await rebuildCommand([], io)).toBe(1)
  const said = io.err.join('\n')
  expect(said).toContain('C++20 compiler')
  expect(said).toContain('- make')
  expect(said).toContain('- python3')
  expect(said).toContain('apt-get install build-essential python3')
})

test('a compiler without C++20 counts as missing, the tools that are there do not', async () => {
  const io = fakeIo({ env: machineWith({ 'g++': 'exit 1', make: 'exit 0', python3: 'exit 0' }) })
  expect(await rebuildCommand([], io)).toBe(1)
  expect(io.err.join('\n')).toContain('g++ -std=c++20')
  expect(io.err.join('\n')).not.toMatch(/- (make|python3)/)
})

const hangs = { 'g++': 'exit 0', make: 'exit 0', python3: '[ "$1" = --version ] && exit 0\nexec /bin/sleep 600' }

// The promise settles when the last holder of the output pipes is gone, so these also show that no child is left behind.
test('a build that hangs is stopped at its deadline, with everything it started', async () => {
  const startedMs = performance.now()
  const env = machineWith(hangs)
  const result = await compileAddon({ root: emptyPackage(), clean: true, timeoutMs: 1_500, env })
  expect(lastLine(result)).toContain('did not end within 1.5 s')
  expect(performance.now() - startedMs).toBeLessThan(20_000)
})

test('an interruption stops the build, with everything it started', async () => {
  const startedMs = performance.now()
  const env = machineWith(hangs)
  const signal = AbortSignal.timeout(500)
  const result = await compileAddon({ root: emptyPackage(), clean: true, timeoutMs: 60_000, env, signal })
  expect(lastLine(result)).toContain('interrupted')
  expect(performance.now() - startedMs).toBeLessThan(20_000)
})

test('a build that ends without an addon fails, and every line of the tools was passed on', async () => {
  const seen: string[] = []
  const result = await compileAddon({
    root: emptyPackage(),
    clean: true,
    timeoutMs: 60_000,
    env: process.env,
    onLine: (line) => seen.push(line),
  })
  expect(result.kind === 'failed' && result.reason.join('\n')).toContain('does not load')
  expect(seen.join('\n')).toContain('gyp info ok')
})

test('a failing build fails with the last lines of the tools', async () => {
  const root = emptyPackage()
  writeFileSync(join(root, 'binding.gyp'), '{"targets":[{"target_name":"kvseam","sources":["absent.cc"]}]}')
  const result = await compileAddon({ root, clean: true, timeoutMs: 60_000, env: process.env })
  expect(result.kind === 'failed' && result.reason.join('\n')).toContain('absent')
  expect(lastLine(result)).toContain('exit code 1')
})

test('--help explains and compiles nothing', async () => {
  const io = fakeIo()
  expect(await rebuildCommand(['--help'], io)).toBe(0)
  expect(io.out.join('\n')).toContain('kvseam rebuild')
})

function lastLine(result: Awaited<ReturnType<typeof compileAddon>>): string | undefined {
  return result.kind === 'failed' ? result.reason.at(-1) : undefined
}
