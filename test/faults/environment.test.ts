// The environment flags: which text is armed, what is refused at once, and what a whole process does with them.

import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { SeamError } from '../../src/errors.js'
import { faultEnvironment } from '../../src/faults/environment.js'
import { openSeam } from '../../src/index.js'
import { childEnvironment } from '../child-environment.js'

const CHILD = fileURLToPath(new URL('./transfers.child.ts', import.meta.url))
const root = fileURLToPath(new URL('../..', import.meta.url))

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'kvseam-faults-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

function refusal(env: NodeJS.ProcessEnv): SeamError {
  try {
    faultEnvironment(env)
  } catch (error) {
    if (SeamError.is(error)) return error
    throw error
  }
  throw new Error('it was accepted')
}

/** A process that moves 40 blocks over both rails and prints one line for each, with the digest of what arrived. */
function transfers(env: NodeJS.ProcessEnv, ...args: string[]) {
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, ['--import', 'tsx', CHILD, ...args], {
    cwd: root,
    env: childEnvironment(env),
    encoding: 'utf8',
    timeout: 90_000,
  })
  return { status, signal, stdout, stderr }
}

describe('faultEnvironment()', () => {
  it('reads nothing where nothing is set', () => {
    expect(faultEnvironment({})).toEqual({ source: undefined, logFile: undefined, allowReal: false, allowKill: false })
  })

  it('takes the rules from KVSEAM_FAULTS or from the file that KVSEAM_FAULTS_FILE names', () => {
    expect(faultEnvironment({ KVSEAM_FAULTS: '*=off' }).source).toEqual({ origin: 'KVSEAM_FAULTS', text: '*=off' })
    const file = join(folder(), 'rules')
    writeFileSync(file, '# two rules\nrail0=off\nrail1=off\n')
    expect(faultEnvironment({ KVSEAM_FAULTS_FILE: file }).source).toEqual({
      origin: `KVSEAM_FAULTS_FILE ${file}`,
      text: '# two rules\nrail0=off\nrail1=off\n',
    })
  })

  it.each(['', '  \n '])('refuses KVSEAM_FAULTS=%j: a flag that says nothing is a mistake', (text) => {
    expect(refusal({ KVSEAM_FAULTS: text })).toMatchObject({
      code: 'KVSEAM_FAULTS_SYNTAX',
      message: 'KVSEAM_FAULTS is set but empty; unset it, or give a rule such as rail0.read=delay(20ms)',
    })
    expect(refusal({ KVSEAM_FAULTS_FILE: text }).code).toBe('KVSEAM_FAULTS_SYNTAX')
  })

  it('refuses both at once, and a file that is not there', () => {
    expect(refusal({ KVSEAM_FAULTS: '*=off', KVSEAM_FAULTS_FILE: 'x' }).message).toContain('both set')
    const missing = join(folder(), 'nothing')
    expect(refusal({ KVSEAM_FAULTS_FILE: missing })).toMatchObject({ facts: { file: missing } })
    expect(refusal({ KVSEAM_FAULTS_FILE: missing }).message).toContain('ENOENT')
  })

  it.each(['yes', 'true', '', '2'])('refuses KVSEAM_FAULTS_ALLOW_REAL=%j: it is 1, 0 or unset', (value) => {
    expect(refusal({ KVSEAM_FAULTS_ALLOW_REAL: value })).toMatchObject({ code: 'KVSEAM_CONFIG_INVALID' })
    expect(refusal({ KVSEAM_FAULTS_ALLOW_KILL: value })).toMatchObject({ code: 'KVSEAM_CONFIG_INVALID' })
  })

  it('takes 1 for leave', () => {
    expect(faultEnvironment({ KVSEAM_FAULTS_ALLOW_REAL: '1', KVSEAM_FAULTS_ALLOW_KILL: '0' })).toMatchObject({
      allowReal: true,
      allowKill: false,
    })
  })
})

describe('openSeam()', () => {
  it('fails on flags that cannot be read, before anything is opened', async () => {
    vi.stubEnv('KVSEAM_FAULTS', 'rail0=dly(1ms)')
    onTestFinished(() => void vi.unstubAllEnvs())
    await expect(openSeam()).rejects.toMatchObject({
      code: 'KVSEAM_FAULTS_SYNTAX',
      facts: { origin: 'KVSEAM_FAULTS', line: 1, column: 7 },
    })
    vi.stubEnv('KVSEAM_FAULTS', undefined)
    vi.stubEnv('KVSEAM_FAULTS_LOG', join(folder(), 'no', 'such', 'folder'))
    await expect(openSeam()).rejects.toMatchObject({ code: 'KVSEAM_RECORD_LOG' })
  })

  it('arms the rules of the environment before its own', async () => {
    vi.stubEnv('KVSEAM_FAULTS', 'seed=1;*=off')
    onTestFinished(() => void vi.unstubAllEnvs())
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    onTestFinished(() => warned.mockRestore())
    const seam = await openSeam({ faults: 'seed=2;*=off' })
    onTestFinished(() => seam.close())
    expect(seam.faults.report().map(({ origin, seed, seedChosen }) => ({ origin, seed, seedChosen }))).toEqual([
      { origin: 'KVSEAM_FAULTS', seed: '1', seedChosen: false },
      { origin: 'openSeam({ faults })', seed: '2', seedChosen: false },
    ])
  })
})

describe('a whole process', { timeout: 240_000 }, () => {
  const plain = transfers({})

  it('moves the same bytes and says the same with no rules, with rules that never meet, and disarmed', () => {
    expect(plain).toMatchObject({ status: 0, stderr: '' })
    expect(plain.stdout.split('\n')).toHaveLength(41)
    const elsewhere = transfers({ KVSEAM_FAULTS: 'seed=3;nobody=drop' })
    expect(elsewhere.stdout).toBe(plain.stdout)
    expect(elsewhere.stderr).toContain('[KVSEAM_W_FAULTS_ARMED]')
    expect(elsewhere.stderr).toContain('1: nobody=drop (no path or agent has that name)')
    expect(transfers({}, 'arm-and-disarm').stdout).toBe(plain.stdout)
  })

  it('obeys KVSEAM_FAULTS', () => {
    const { status, stdout } = transfers({ KVSEAM_FAULTS: 'rail0.read=error(not_found)@ops(3..4)' })
    expect(status).toBe(0)
    const differing = stdout.split('\n').filter((line, i) => line !== plain.stdout.split('\n')[i])
    expect(differing).toEqual(['4 rail0 KVSEAM_STALE_REGION', '6 rail0 KVSEAM_STALE_REGION'])
  })

  it('is killed on the spot by kill where that is allowed, and fails to start where it is not', () => {
    const killed = transfers({ KVSEAM_FAULTS: 'rail1.read=kill@ops(3..)', KVSEAM_FAULTS_ALLOW_KILL: '1' })
    expect(killed).toMatchObject({ status: null, signal: 'SIGKILL' })
    expect(killed.stdout.split('\n').length).toBeLessThan(41)
    const refused = transfers({ KVSEAM_FAULTS: 'rail1.read=kill@ops(3..)' })
    expect(refused.status).toBe(1)
    expect(refused.stderr).toContain('KVSEAM_FAULTS_REFUSED')
  })

  it('writes what fired to KVSEAM_FAULTS_LOG, the same for the same seed', () => {
    const at = folder()
    const run = (name: string, seed: number): string[] => {
      const file = join(at, name)
      const { status } = transfers({
        KVSEAM_FAULTS: `seed=${seed};*=40%delay(exp(100us));*=20%dup`,
        KVSEAM_FAULTS_LOG: file,
      })
      expect(status).toBe(0)
      return readFileSync(file, 'utf8').trim().split('\n')
    }
    const first = run('first', 5)
    expect(JSON.parse(first[0]!)).toEqual({
      schema: 'kvseam.faults/1',
      origin: 'KVSEAM_FAULTS',
      seed: '5',
      spec: 'seed=5;*=40%delay(exp(100us));*=20%dup',
    })
    const end = JSON.parse(first.at(-1)!) as { schema: string; rules: { fired: number }[]; firingsLost: number }
    expect(end).toMatchObject({ schema: 'kvseam.faults.end/1', seed: '5', firingsLost: 0 })
    expect(end.rules[0]!.fired + end.rules[1]!.fired).toBe(first.length - 2)
    expect(first.length).toBeGreaterThan(15)
    expect(run('again', 5).sort()).toEqual([...first].sort())
    expect(run('other', 6).slice(1, -1).sort()).not.toEqual(first.slice(1, -1).sort())
  })
})

describe('kvseam demo', { timeout: 120_000 }, () => {
  const demo = (env: NodeJS.ProcessEnv, ...args: string[]) => {
    const out = execFileSync(
      process.execPath,
      ['--import', 'tsx', 'src/cli/main.ts', 'demo', '--json', '--requests', '60', '--duration', '2s', ...args],
      {
        cwd: root,
        env: childEnvironment(env),
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
        timeout: 110_000,
      },
    )
    return JSON.parse(out) as { failures?: Record<string, number>; verified: number; mismatched: number }
  }

  it('takes its faults from --faults', () => {
    const summary = demo({}, '--faults', 'seed=1;*.write=corrupt(1bit)@ops(5..6)')
    expect(summary.mismatched).toBeGreaterThan(0)
  })

  it('and from KVSEAM_FAULTS', () => {
    const summary = demo({ KVSEAM_FAULTS: 'seed=1;*.write=corrupt(1bit)@ops(5..6)' }, '--no-fault')
    expect(summary.mismatched).toBeGreaterThan(0)
  })
})
