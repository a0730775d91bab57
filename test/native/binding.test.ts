// What a user sees whose addon is missing, broken or of another version: what was found, and what to do.

import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** An addon that says it has `version`, in a folder laid out as KVSEAM_PREBUILD wants it. */
function fakeAddon(folder: string, version: number | null): void {
  const release = join(folder, 'build', 'Release')
  mkdirSync(release, { recursive: true })
  const source = join(folder, 'fake.c')
  const set =
    version === null
      ? ''
      : `napi_value v; napi_create_uint32(env, ${version}, &v); napi_set_named_property(env, exports, "bindingVersion", v);`
  writeFileSync(
    source,
    `#include <node_api.h>\nnapi_value init(napi_env env, napi_value exports) { ${set} return exports; }\nNAPI_MODULE(kvseam, init)\n`,
  )
  const headers = join(root, 'node_modules', 'node-api-headers', 'include')
  const built = spawnSync('cc', ['-shared', '-fPIC', `-I${headers}`, source, '-o', join(release, 'kvseam.node')], {
    // A sanitizer that is preloaded into this process has no business in the compiler.
    env: { ...process.env, LD_PRELOAD: '' },
    encoding: 'utf8',
  })
  expect(built.status, built.stderr).toBe(0)
}

interface Failure {
  code: string
  message: string
  facts: Record<string, unknown>
}

/** Opens a seam in a fresh process and returns the error. */
function openIn(cwd: string, main: string, env: NodeJS.ProcessEnv): Failure {
  const program = `import { openSeam } from ${JSON.stringify(main)}
try { await (await openSeam()).close(); console.log('{}') } catch (error) {
  console.log(JSON.stringify({ code: error.code, message: error.message, facts: error.facts })) }`
  const ran = spawnSync(process.execPath, ['--input-type=module', '--eval', program], { cwd, env, encoding: 'utf8' })
  expect(ran.status, ran.stderr).toBe(0)
  return JSON.parse(ran.stdout) as Failure
}

describe('the loader', () => {
  let compiled: string
  beforeAll(() => {
    // Compiled afresh: what lies in dist may be older than the sources.
    compiled = mkdtempSync(join(tmpdir(), 'kvseam-binding-'))
    const built = spawnSync(
      process.execPath,
      [join(root, 'node_modules/typescript/bin/tsc'), '-p', root, '--outDir', join(compiled, 'dist')],
      { encoding: 'utf8', env: { ...process.env, LD_PRELOAD: '' } },
    )
    expect(built.status, built.stdout).toBe(0)
    cpSync(join(root, 'package.json'), join(compiled, 'package.json'))
    symlinkSync(join(root, 'node_modules'), join(compiled, 'node_modules'))
    return () => rmSync(compiled, { recursive: true, force: true })
  }, 120_000)

  const folder = (): string => {
    const made = mkdtempSync(join(tmpdir(), 'kvseam-prebuild-'))
    onTestFinished(() => rmSync(made, { recursive: true, force: true }))
    return made
  }
  const open = (prebuild?: string): Failure => {
    const { KVSEAM_PREBUILD: _, ...env } = process.env
    return openIn(compiled, `${compiled}/dist/index.js`, {
      ...env,
      LD_PRELOAD: '',
      ...(prebuild === undefined ? {} : { KVSEAM_PREBUILD: prebuild }),
    })
  }

  it('says which target has no addon, and three remedies', () => {
    const { code, message, facts } = open()
    expect(code).toBe('KVSEAM_ADDON_MISSING')
    const target = `${process.platform}-${process.arch}`
    expect(message).toContain(target)
    for (const remedy of ['npx kvseam rebuild', 'npm run build:native', 'install it again here']) {
      expect(message).toContain(remedy)
    }
    expect(facts).toMatchObject({ target, node: process.versions.node })
  })

  it('says the same of a file that is no addon, with the reason of the system', () => {
    const made = folder()
    mkdirSync(join(made, 'build', 'Release'), { recursive: true })
    writeFileSync(join(made, 'build', 'Release', 'kvseam.node'), 'not an object file')
    const { code, message } = open(made)
    expect(code).toBe('KVSEAM_ADDON_MISSING')
    expect(message).toMatch(/file too short|invalid ELF header/)
  })

  it.each([
    [1, '1'],
    [null, 'none'],
    [4_000_000_000, '4000000000'],
  ])('refuses an addon of binding version %s', (version, text) => {
    const made = folder()
    fakeAddon(made, version)
    const { code, message, facts } = open(made)
    expect(code).toBe('KVSEAM_ADDON_MISMATCH')
    expect(message).toContain(`binding version ${text}`)
    expect(message).toContain('npx kvseam rebuild')
    const needed = /kBindingVersion = (\d+)/.exec(readFileSync(join(root, 'native/addon/addon.cc'), 'utf8'))![1]
    expect(facts).toEqual({ found: version, needed: Number(needed) })
  })
})
