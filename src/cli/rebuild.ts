// `kvseam rebuild`: compiles the addon from the sources in the package, on a machine that no shipped build fits.
// It downloads nothing: the headers come from node-api-headers, and native/node-api stands in for Node's own.

import { spawn, spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync, realpathSync } from 'node:fs'
import { createRequire } from 'node:module'
import { delimiter, dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { CommandIo } from './command.js'
import { EXIT } from './exit-code.js'
import { type CommandSyntax, helpLines, parseOptions } from './options.js'

const PACKAGE_ROOT = fileURLToPath(new URL('../..', import.meta.url))
const ADDON = 'build/Release/kvseam.node'
const SHOWN_ON_FAILURE_LINES = 60

const SYNTAX = {
  name: 'rebuild',
  summary:
    'Compiles the native addon of the installed package on this machine. Needs a C++20 compiler, make and python3; ' +
    'downloads nothing.',
  options: {
    verbose: { kind: 'flag', help: 'print what the compiler prints' },
    // A clean build takes about a minute on two slow cores; this is a bound for a compiler that hangs, not an estimate.
    timeout: { kind: 'duration', min: 1000, default: 900_000, help: 'give up after this time' },
  },
} as const satisfies CommandSyntax

const INSTALL_TOOLS = [
  '  Debian, Ubuntu:  apt-get install build-essential python3',
  '  Fedora, RHEL:    dnf install gcc-c++ make python3',
  '  Alpine:          apk add build-base python3',
]

type Environment = CommandIo['env']

type CompileResult =
  | { readonly kind: 'built'; readonly addon: string; readonly tookMs: number }
  | { readonly kind: 'failed'; readonly reason: readonly string[] }

interface CompileOptions {
  /** The package's folder: where binding.gyp is. */
  readonly root: string
  /** Throw the previous build away first; otherwise make compiles what has changed. */
  readonly clean: boolean
  readonly timeoutMs: number
  readonly env: Environment
  readonly signal?: AbortSignal | undefined
  /** Called with every line that node-gyp and the compiler print. */
  readonly onLine?: (line: string) => void
}

/** Runs node-gyp to the end or the deadline and tells what is missing, what failed, or where the addon is. */
export async function compileAddon(options: CompileOptions): Promise<CompileResult> {
  const startedMs = performance.now()
  const missing = missingTools(options.env)
  if (missing.length > 0)
    return failed('missing on this machine:', ...missing.map((tool) => `  - ${tool}`), ...INSTALL_TOOLS)
  const nodeGyp = findNodeGyp(options)
  if (nodeGyp === undefined) return failed('node-gyp was not found; install it beside kvseam: npm install node-gyp')
  if (!isWritable(options.root)) {
    return failed(`${options.root} is not writable; run this as the user who installed the package`)
  }

  const wentWrong = await runNodeGyp(nodeGyp, options)
  if (wentWrong !== undefined) return failed(...wentWrong)
  const addon = join(options.root, ADDON)
  const load = spawnSync(process.execPath, ['-e', 'require(process.argv[1])', addon], {
    encoding: 'utf8',
    timeout: 30_000,
  })
  if (load.status !== 0)
    return failed(`${addon} was built but does not load:`, load.stderr || String(load.error ?? load.signal))
  return { kind: 'built', addon, tookMs: performance.now() - startedMs }
}

/** @param argv what follows `kvseam rebuild` */
export async function rebuildCommand(argv: string[], io: CommandIo): Promise<number> {
  const { help, values } = parseOptions(SYNTAX, argv)
  if (help) {
    for (const line of helpLines(SYNTAX, io)) io.stdout(line)
    return EXIT.ok
  }
  io.stderr('compiling the addon, which can take a minute')
  const result = await compileAddon({
    root: PACKAGE_ROOT,
    clean: true,
    timeoutMs: values.timeout,
    env: io.env,
    signal: io.signal,
    ...(values.verbose ? { onLine: io.stderr } : {}),
  })
  if (result.kind === 'failed') {
    for (const line of result.reason) io.stderr(line)
    return EXIT.failure
  }
  io.stdout(`built ${result.addon} in ${(result.tookMs / 1000).toFixed(0)} s`)
  return EXIT.ok
}

function failed(...reason: readonly string[]): CompileResult {
  return { kind: 'failed', reason }
}

/** Asks for what node-gyp is about to use, so that a missing tool is named instead of a Python traceback shown. */
function missingTools(env: Environment): string[] {
  const pythons = [env['NODE_GYP_FORCE_PYTHON'], env['npm_config_python'], env['PYTHON'], 'python3', 'python']
  const missing: string[] = []
  if (!runs(env, env['CXX'] ?? 'g++', ['-std=c++20', '-E', '-x', 'c++', '/dev/null'])) {
    missing.push(
      `a C++20 compiler: \`${env['CXX'] ?? 'g++'} -std=c++20\` does not run (g++ 10 and newer do; CXX names another)`,
    )
  }
  if (!runs(env, env['MAKE'] ?? 'make', ['--version'])) missing.push('make')
  if (!pythons.some((python) => python !== undefined && runs(env, python, ['--version']))) missing.push('python3')
  return missing
}

/** `command` may carry arguments of its own, as in CXX="ccache g++". */
function runs(env: Environment, command: string, args: string[]): boolean {
  const [program = '', ...own] = command.trim().split(/\s+/)
  return spawnSync(program, [...own, ...args], { env, stdio: 'ignore', timeout: 30_000 }).status === 0
}

/** Our own node-gyp in a checkout; else the one that npm brings: npm may be running us, stand beside node, or be on PATH. */
function findNodeGyp({ root, env }: CompileOptions): string | undefined {
  const nodeFolder = dirname(realpathSync(process.execPath))
  const npmOnPath = (env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'npm'))
  const places = [
    join(root, 'package.json'),
    env['npm_execpath'],
    join(nodeFolder, '../lib/node_modules/npm/package.json'),
    ...npmOnPath,
  ]
  for (const place of places) {
    if (place === undefined || !existsSync(place)) continue
    try {
      return createRequire(realpathSync(place)).resolve('node-gyp/bin/node-gyp.js')
    } catch {
      // not there; the next place may have it
    }
  }
  return undefined
}

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK)
    return true
  } catch {
    return false
  }
}

/** Resolves to what went wrong, the tool's last lines first; undefined when nothing did. */
function runNodeGyp(nodeGyp: string, options: CompileOptions): Promise<readonly string[] | undefined> {
  const env: NodeJS.ProcessEnv = { JOBS: 'max', ...options.env }
  // node-gyp prefers its environment to its arguments, and newer ones the second name to the first.
  env['npm_config_nodedir'] = join(options.root, 'native/node-api')
  delete env['npm_package_config_node_gyp_nodedir']
  const commands = options.clean ? ['rebuild'] : ['configure', 'build']
  // A process group of its own, so that the deadline and Ctrl-C reach make and the compiler too.
  const child = spawn(process.execPath, [nodeGyp, ...commands], {
    cwd: options.root,
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })

  const tail: string[] = []
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      options.onLine?.(line)
      tail.push(line)
      if (tail.length > SHOWN_ON_FAILURE_LINES) tail.shift()
    })
  }

  return new Promise((resolve) => {
    let stopped: string | undefined
    const stop = (why: string) => {
      stopped = why
      if (child.pid === undefined) return
      try {
        process.kill(-child.pid, 'SIGKILL')
      } catch {
        // it has just ended
      }
    }
    const onAbort = () => stop('the build was interrupted')
    const timer = setTimeout(
      () => stop(`the build did not end within ${options.timeoutMs / 1000} s and was stopped`),
      options.timeoutMs,
    )
    const end = (wentWrong: readonly string[] | undefined) => {
      clearTimeout(timer)
      options.signal?.removeEventListener('abort', onAbort)
      resolve(wentWrong)
    }
    options.signal?.addEventListener('abort', onAbort)
    if (options.signal?.aborted) onAbort()
    child.once('error', (error) => end([`node-gyp could not be started: ${error.message}`]))
    child.once('close', (code, signal) => {
      if (stopped !== undefined) end([...tail, stopped])
      else if (code !== 0)
        end([...tail, `the build failed (${signal ?? `exit code ${code}`}); its last lines stand above`])
      else end(undefined)
    })
  })
}
