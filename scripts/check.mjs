// Everything that can be said about the tree without running it; `--fix` lets the formatters write instead.
// A tool that is not installed fails the check; `--allow-missing` leaves that check out, and says so.

import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, extname, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { houseRules } from './house-rules.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
process.chdir(root)
const fix = process.argv.includes('--fix')
const allowMissing = process.argv.includes('--allow-missing')
const LLVM = 19
const PARALLEL = 2

class Missing extends Error {}

// Tracked files and new ones that are not ignored; a deleted file may still be listed.
const files = spawnSync('git', ['ls-files', '-co', '--exclude-standard'], { encoding: 'utf8' })
  .stdout.split('\n')
  .filter((file) => file !== '' && existsSync(file))
const cpp = files.filter((file) => file.startsWith('native/') && ['.cc', '.h'].includes(extname(file)))

const formatters = [
  {
    name: 'biome',
    run: () => output('node_modules/.bin/biome', fix ? ['check', '--write', '.'] : ['ci', '--colors=off', '.']),
  },
  { name: 'clang-format', run: clangFormat },
]
const checks = [
  ...formatters,
  { name: 'types', run: () => output('node_modules/.bin/tsc', ['-p', 'tsconfig.check.json']) },
  { name: 'unused (knip)', run: () => output('node_modules/.bin/knip', ['--no-progress']) },
  { name: 'clang-tidy', run: clangTidy },
  ...houseRules.map((rule) => ({
    name: rule.name,
    run: async () =>
      files.flatMap((file) => (rule.appliesTo(file) ? rule.findings(file, readFileSync(file, 'utf8')) : [])),
  })),
]

const count = { passed: 0, failed: 0, skipped: 0 }
for (const check of fix ? formatters : checks) {
  const startedMs = performance.now()
  let findings
  let verdict
  try {
    findings = await check.run()
    verdict = findings.length === 0 ? 'passed' : 'failed'
  } catch (error) {
    if (!(error instanceof Missing)) throw error
    findings = [error.message]
    verdict = allowMissing ? 'skipped' : 'failed'
  }
  count[verdict]++
  console.log(`${verdict}  ${check.name}  (${((performance.now() - startedMs) / 1000).toFixed(1)} s)`)
  for (const line of findings) console.log(`  ${line}`)
}
console.log(`${count.passed} passed, ${count.failed} failed${count.skipped > 0 ? `, ${count.skipped} skipped` : ''}`)
process.exitCode = count.failed > 0 ? 1 : 0

/** The lines a tool printed when it found something; none when it is content. */
function output(command, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    let text = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (text += chunk))
    child.on('error', (error) => reject(error.code === 'ENOENT' ? new Missing(`${command} is not installed`) : error))
    child.on('close', (code, signal) =>
      resolve(code === 0 ? [] : [...text.trimEnd().split('\n'), `${command} ended with ${signal ?? code}`]),
    )
  })
}

function llvm(tool) {
  for (const name of [`${tool}-${LLVM}`, tool]) {
    const version = spawnSync(name, ['--version'], { encoding: 'utf8' })
    // Another major version formats and finds differently, so "ok" from it would mean little.
    if (version.status === 0 && version.stdout.includes(`version ${LLVM}.`)) return name
  }
  throw new Missing(`${tool} ${LLVM} is not installed (Debian, Ubuntu: apt-get install ${tool}-${LLVM})`)
}

async function clangFormat() {
  if (cpp.length === 0) return []
  const findings = await output(llvm('clang-format'), fix ? ['-i', ...cpp] : ['--dry-run', '-Werror', ...cpp])
  const places = findings.map((line) => /^(.*?):\d+:\d+: error: .*clang-format/.exec(line)?.[1])
  return places.some(Boolean)
    ? [...new Set(places.filter(Boolean))].map((file) => `${file} is not formatted (npm run format)`)
    : findings
}

// Following calls into the standard library's templates takes two thirds of the time, and what it finds there is not ours.
const ANALYSER = ['-Xclang', '-analyzer-config', '-Xclang', 'c++-template-inlining=false'].map(
  (argument) => `--extra-arg=${argument}`,
)

/** Reads the compile commands of the dev preset, which it configures (not builds) itself. */
async function clangTidy() {
  const tidy = llvm('clang-tidy')
  const configured = await output('cmake', ['--preset', 'dev'])
  if (configured.length > 0) return configured
  const commands = JSON.parse(readFileSync('.cmake/dev/build/compile_commands.json', 'utf8'))
  const sources = [...new Set(commands.map((command) => relative(root, command.file)))]
  const shared = [...cpp.filter((file) => file.endsWith('.h')), '.clang-tidy', 'native/sources.gypi']
  const findings = new Map()
  const work = async () => {
    for (let source = sources.shift(); source !== undefined; source = sources.shift()) {
      // A source takes seconds, so one that was clean is left alone until it, a header or the rules change.
      const stamp = `.cmake/tidy/${source}.clean`
      if (existsSync(stamp) && [source, ...shared].every((file) => statSync(file).mtimeMs < statSync(stamp).mtimeMs))
        continue
      const lines = await output(tidy, ['-p', '.cmake/dev/build', '--quiet', ...ANALYSER, source])
      for (const [place, finding] of byPlace(lines)) findings.set(place, finding)
      mkdirSync(dirname(stamp), { recursive: true })
      if (lines.length === 0) writeFileSync(stamp, '')
      else rmSync(stamp, { force: true })
    }
  }
  await Promise.all(Array.from({ length: PARALLEL }, work))
  return [...findings.values()].flat()
}

/** A finding in a header is reported with every source that includes it; its first line is the same each time. */
function byPlace(lines) {
  const found = new Map()
  let block
  for (const line of lines) {
    // A tool that fails without a finding still shows all it said.
    if (block === undefined || / (error|warning): /.test(line)) {
      block = []
      found.set(line, block)
    }
    if (!/^\d+ (warning|error)s? |clang-tidy\S* ended with 1$/.test(line)) block.push(line)
  }
  return found
}
