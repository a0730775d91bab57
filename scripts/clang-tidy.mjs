// Runs clang-tidy over all native sources in two passes, each over what it is quickest with.

import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { relative } from 'node:path'

const PARALLEL = 2

// Most checks spend their time in the standard library's headers, so they see several sources as one. The analyser follows
// only what stands in the source itself, so it sees each alone; what is cut off took two thirds of its time and found nothing.
const ANALYSER = '-clang-analyzer-*'
const ANALYSER_LIMITS = ['c++-template-inlining=false', 'max-nodes=50000'].flatMap((limit) =>
  ['-Xclang', '-analyzer-config', '-Xclang', limit].map((argument) => `--extra-arg=${argument}`),
)
const PASSES = [
  {
    name: 'together',
    configure: ['-DKVSEAM_TOGETHER=ON'],
    args: [`--checks=${ANALYSER},-bugprone-suspicious-include`],
  },
  {
    name: 'alone',
    configure: ['-DKVSEAM_TOGETHER=OFF'],
    args: [
      `--checks=-*,bugprone-suspicious-include,${ANALYSER.slice(1)},-clang-analyzer-optin.performance.Padding`,
      ...ANALYSER_LIMITS,
    ],
    // Tests are no product: the analyser's warnings about them would be about what a test does on purpose.
    leaveOut: /^native\/(test|fuzz)\//,
  },
]

/**
 * What clang-tidy finds in everything that CMake compiles, read from a tree that is configured (not built) for each pass.
 * `output(command, args)` gives the lines of a command that found something; `files` are all native sources and headers.
 */
export async function clangTidy(tidy, files, output) {
  const shared = [...files.filter((file) => file.endsWith('.h')), '.clang-tidy', 'native/sources.gypi']
  const queue = []
  for (const { name, configure, args, leaveOut } of PASSES) {
    const build = `.cmake/tidy/${name}`
    const configured = await output('cmake', ['--preset', 'dev', '-B', build, ...configure])
    if (configured.length > 0) return configured
    const commands = JSON.parse(readFileSync(`${build}/compile_commands.json`, 'utf8'))
    for (const source of new Set(commands.map((command) => relative('', command.file))))
      if (leaveOut === undefined || !leaveOut.test(source)) queue.push({ build, args, source })
  }
  const findings = new Map()
  const work = async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const { build, args, source } = next
      // A source takes seconds, so one that was clean is left alone until it, a header or the rules change.
      const stamp = `${build}/${source.replaceAll('/', '+')}.clean`
      const read = [source, ...included(source), ...shared]
      if (existsSync(stamp) && read.every((file) => statSync(file).mtimeMs < statSync(stamp).mtimeMs)) continue
      const lines = await output(tidy, ['-p', build, '--quiet', ...args, source])
      for (const [place, finding] of byPlace(lines)) findings.set(place, finding)
      if (lines.length === 0) writeFileSync(stamp, '')
      else rmSync(stamp, { force: true })
    }
  }
  await Promise.all(Array.from({ length: PARALLEL }, work))
  return [...findings.values()].flat()
}

/** The sources that a source made of several includes. */
function included(source) {
  return [...readFileSync(source, 'utf8').matchAll(/^#include "(\/.*\.cc)"/gm)].map(([, file]) => file)
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
