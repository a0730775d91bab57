// Packs what would be published and uses it as a stranger would: no install script, no checkout, nothing beside the tarball.

import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'

const root = fileURLToPath(new URL('..', import.meta.url))
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const work = mkdtempSync(join(tmpdir(), 'kvseam-package-'))
const consumer = join(work, 'consumer')
const installed = join(consumer, 'node_modules/kvseam')

const MAY_HOLD = [
  /^(package\.json|README\.md|LICENSE|binding\.gyp)$/,
  /^dist\/([\w-]+\/)*[\w-]+\.(js|js\.map|d\.ts)$/,
  /^prebuilds\/linux-(x64|arm64)\/(kvseam\.(glibc|musl)\.node|kvseam_[a-z]+\.so)$/,
  /^native\/(core|backends|addon)\/([\w-]+\/)*[\w-]+\.(cc|h)$/,
  /^native\/sources\.gypi$/,
  /^native\/node-api\/include\/node\/(common|config)\.gypi$/,
]
const MUST_HOLD = [
  ...['package.json', 'README.md', 'LICENSE', 'binding.gyp', 'dist/index.js', 'dist/index.d.ts', 'dist/cli/main.js'],
  `prebuilds/linux-${process.arch}/kvseam.glibc.node`,
]

let passed = 0
let failed = 0
let tarball = ''

try {
  build()
  await check('the tarball holds what it must and nothing else', tarballContents)
  await check('publint finds nothing', lint)
  await check('a consumer installs it with scripts off', install)
  await check('every shipped binary is hardened', hardening)
  await check('it loads and moves a block', () => useAsConsumer('works'))
  rmSync(join(installed, 'prebuilds'), { recursive: true, force: true })
  await check('without a build that fits, the error names the remedy', () => useAsConsumer('is-missing'))
  await check('`kvseam rebuild` compiles it on the spot', () => run('node_modules/.bin/kvseam', ['rebuild'], consumer))
  await check('what was compiled there works as well', () => useAsConsumer('works'))
} finally {
  rmSync(work, { recursive: true, force: true })
}
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed > 0 ? 1 : 0

function build() {
  run('npm', ['run', 'build', '--silent'], root)
  run('scripts/package-native.sh', [], root)
  run('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', work], root)
  tarball = join(work, `kvseam-${manifest.version}.tgz`)
}

/** `act` throws where the check fails; what it returns is shown beside the verdict. */
async function check(name, act) {
  try {
    const note = await act()
    passed++
    console.log(`passed  ${name}`)
    for (const line of (note ?? '').trim().split('\n')) if (line !== '') console.log(`        ${line}`)
  } catch (error) {
    failed++
    console.log(`failed  ${name}\n${error.message}`)
  }
}

function tarballContents() {
  const files = run('tar', ['-tzf', tarball], work)
    .trim()
    .split('\n')
    .map((path) => path.replace(/^package\//, ''))
  const unexpected = files.filter((file) => !MAY_HOLD.some((pattern) => pattern.test(file)))
  const absent = MUST_HOLD.filter((file) => !files.includes(file))
  if (unexpected.length > 0) throw new Error(`not on the list of what may be shipped:\n${unexpected.join('\n')}`)
  if (absent.length > 0) throw new Error(`missing:\n${absent.join('\n')}`)
  return `${files.length} files, ${(readFileSync(tarball).length / 1024).toFixed(0)} KiB packed`
}

async function lint() {
  const bytes = readFileSync(tarball)
  const archive = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength)
  const { messages, pkg } = await publint({ pack: { tarball: archive }, strict: true })
  if (messages.length > 0) throw new Error(messages.map((message) => formatMessage(message, pkg)).join('\n'))
}

function install() {
  mkdirSync(consumer)
  writeFileSync(join(consumer, 'package.json'), JSON.stringify({ name: 'consumer', private: true, type: 'module' }))
  run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline', tarball], consumer)
  cpSync(join(root, 'test/package/consumer.mjs'), join(consumer, 'consumer.mjs'))
}

function hardening() {
  const folder = join(installed, `prebuilds/linux-${process.arch}`)
  const notes = readdirSync(folder).map((file) => {
    const readelf = (option) => run('readelf', ['--wide', option, join(folder, file)], work)
    const segments = readelf('--segments')
    const dynamic = readelf('--dynamic')
    const versions = readelf('--version-info')
    const faults = [
      !/GNU_RELRO/.test(segments) && 'no RELRO',
      !/BIND_NOW|Flags:.*NOW/.test(dynamic) && 'symbols are bound late, so RELRO is partial',
      !/GNU_STACK.* RW /.test(segments) && 'the stack may be executable',
      /\((RPATH|RUNPATH)\)/.test(dynamic) && 'a library path is built in',
    ].filter(Boolean)
    if (faults.length > 0) throw new Error(`${file}: ${faults.join('; ')}`)
    const needs = ['GLIBC', 'GLIBCXX', 'CXXABI'].map((library) => highest(versions, library))
    return `${file}: full RELRO, no executable stack, no RPATH; needs ${needs.filter(Boolean).join(', ')}`
  })
  return notes.join('\n')
}

function highest(text, library) {
  const found = [...text.matchAll(new RegExp(`\\b${library}_(\\d+(?:\\.\\d+)+)`, 'g'))].map((match) => match[1])
  found.sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
  return found.length === 0 ? undefined : `${library}_${found.at(-1)}`
}

function useAsConsumer(expectation) {
  return run(process.execPath, ['consumer.mjs', expectation], consumer)
}

/** What the command printed; an error with all of it when it did not succeed. */
function run(command, args, cwd) {
  // A consumer has no Node headers configured, no sanitizer build to load instead, and is not run from our scripts.
  const ours = /^(KVSEAM_|npm_package_|npm_lifecycle_|npm_execpath|npm_config_(nodedir|local_prefix))/i
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !ours.test(name)))
  const done = spawnSync(command, args, { cwd, env, encoding: 'utf8', timeout: 240_000 })
  if (done.status === 0) return done.stdout
  throw new Error(
    `${command} ${args.join(' ')}: ${done.error ?? done.signal ?? `exit code ${done.status}`}\n${done.stdout}${done.stderr}`,
  )
}
