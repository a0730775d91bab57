// Runs the README's programs: every ```ts block that begins with an import is a whole program, the others are fragments.
// It runs as written, `from 'kvseam'` included, which inside the package resolves to its own dist.

import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const folder = join(root, '.cmake/readme')
const TIMEOUT_MS = 60_000

const readme = readFileSync(join(root, 'README.md'), 'utf8')
const programs = [...readme.matchAll(/^```ts\n(import [\s\S]*?)^```$/gm)].map((match) => ({
  source: match[1],
  line: readme.slice(0, match.index).split('\n').length + 1,
}))

rmSync(folder, { recursive: true, force: true })
mkdirSync(folder, { recursive: true })
let failed = 0
for (const { source, line } of programs) {
  const file = join(folder, `line-${line}.ts`)
  writeFileSync(file, source)
  for (const [what, command] of [
    ['type-checks', ['node_modules/typescript/bin/tsc', ...tscOptions(), file]],
    ['runs', ['node_modules/tsx/dist/cli.mjs', file]],
  ]) {
    const run = spawnSync(process.execPath, command, { cwd: root, encoding: 'utf8', timeout: TIMEOUT_MS })
    const ok = run.status === 0
    console.log(`${ok ? 'passed' : 'failed'}  README.md:${line} ${what}`)
    if (ok) continue
    failed++
    console.log(`${run.stdout}${run.stderr}ended with ${run.error ?? run.signal ?? run.status}`)
  }
}
const total = programs.length * 2
if (total === 0) console.log('README.md has no program: no ```ts block begins with an import')
console.log(`${total - failed} passed, ${failed} failed`)
process.exitCode = failed > 0 || total === 0 ? 1 : 0

function tscOptions() {
  return '--noEmit --ignoreConfig --strict --target ES2022 --lib ES2023,ESNext.Disposable --module NodeNext --types node --skipLibCheck'.split(
    ' ',
  )
}
