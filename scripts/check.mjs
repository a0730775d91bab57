// Everything that can be said about the tree without running it; `--fix` lets the formatters write instead.
// A tool that is not installed fails the check; `--allow-missing` leaves that check out, and says so.

import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { clangTidy } from './clang-tidy.mjs'
import { houseRules } from './house-rules.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
process.chdir(root)
const fix = process.argv.includes('--fix')
const allowMissing = process.argv.includes('--allow-missing')
const LLVM = 19

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
  { name: 'clang-tidy', run: () => clangTidy(llvm('clang-tidy'), cpp, output) },
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
