// Compiles the native peers of `kvseam bench peers` into .cmake/bench: the plain one always, that over UCX where its headers are.

import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const sources = join(root, 'bench', 'native')
const out = join(root, '.cmake', 'bench')

function modified(file) {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0
}

/** One word a flag; null when pkg-config does not know the library. */
function flagsOf(library) {
  const { status, stdout } = spawnSync('pkg-config', ['--cflags', '--libs', library], { encoding: 'utf8' })
  return status === 0 ? stdout.trim().split(/\s+/).filter(Boolean) : null
}

function build(name, flags) {
  const target = join(out, name)
  const newest = Math.max(...readdirSync(sources).map((file) => modified(join(sources, file))))
  if (modified(target) >= newest) return 0
  const compiler = process.env['CC'] || 'cc'
  const words = ['-std=gnu11', '-O2', '-Wall', '-Wextra', '-Werror', join(sources, `${name}.c`), '-o', target, ...flags]
  const { status, error } = spawnSync(compiler, words, { stdio: ['ignore', 'inherit', 'inherit'] })
  if (error !== undefined) console.error(`${compiler} cannot be run: ${error.message}`)
  return status ?? 1
}

mkdirSync(out, { recursive: true })
let failed = build('plain_peer', [])
const ucx = flagsOf('ucx')
if (ucx === null) console.error('no native peer over UCX: pkg-config does not find ucx (on Debian: libucx-dev)')
else failed = build('ucx_peer', ucx) || failed
process.exitCode = failed === 0 ? 0 : 1
