// Compiles the addon of a checkout where it is missing, does not load or is older than its sources; `--force` starts afresh.
// node-gyp-build looks only whether some addon loads, so after a `git pull` it would go on with the old one.

import { existsSync, readdirSync, statSync, utimesSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { tsImport } from 'tsx/esm/api'

const root = fileURLToPath(new URL('..', import.meta.url))
const addon = join(root, 'build/Release/kvseam.node')
const inputs = [
  'binding.gyp',
  'native/sources.gypi',
  'native/node-api',
  'native/core',
  'native/backends',
  'native/addon',
]
const force = process.argv.includes('--force')

const reason = force ? 'a fresh build was asked for' : whyBuild()
if (reason !== undefined) {
  console.log(`kvseam: compiling the addon (${reason})`)
  const { compileAddon } = await tsImport('../src/cli/rebuild.ts', import.meta.url)
  // The compiler runs in a process group of its own, so Ctrl-C reaches only us.
  const interruption = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM']) process.once(name, () => interruption.abort())
  const result = await compileAddon({
    root,
    clean: force,
    timeoutMs: 900_000,
    env: process.env,
    signal: interruption.signal,
  })
  if (result.kind === 'failed') {
    for (const line of result.reason) console.error(line)
    process.exit(1)
  }
  // make leaves the file alone where the change did not reach it; its time is what the next run compares.
  const now = new Date()
  utimesSync(addon, now, now)
  console.log(`kvseam: compiled in ${(result.tookMs / 1000).toFixed(1)} s`)
  if (!existsSync(join(root, 'build/Release/kvseam_ucx.so'))) {
    console.log('kvseam: no ucx backend, since pkg-config finds no ucx 1.13 or newer (apt-get install libucx-dev)')
  }
}

function whyBuild() {
  const built = statSync(addon, { throwIfNoEntry: false })
  if (built === undefined) return 'there is none'
  for (const input of inputs) {
    const newer = findNewer(input, built.mtimeMs)
    if (newer !== undefined) return `${newer} is newer`
  }
  try {
    createRequire(import.meta.url)(addon)
    return undefined
  } catch (error) {
    return `it does not load: ${error.message}`
  }
}

function findNewer(path, thanMs) {
  const stat = statSync(join(root, path))
  if (stat.mtimeMs > thanMs) return path
  if (!stat.isDirectory()) return undefined
  for (const name of readdirSync(join(root, path))) {
    const newer = findNewer(`${path}/${name}`, thanMs)
    if (newer !== undefined) return newer
  }
  return undefined
}
