// The one place that reads the environment flags of fault injection. A flag that is set but says nothing is an error.

import { readFileSync } from 'node:fs'
import { refuse } from '../check.js'
import { SeamError } from '../errors.js'

export interface FaultSource {
  /** Where the text comes from, for error texts and reports. */
  readonly origin: string
  readonly text: string
}

export interface FaultEnvironment {
  /** KVSEAM_FAULTS or what KVSEAM_FAULTS_FILE names. */
  readonly source: FaultSource | undefined
  /** KVSEAM_FAULTS_LOG */
  readonly logFile: string | undefined
  /** KVSEAM_FAULTS_ALLOW_REAL=1 */
  readonly allowReal: boolean
  /** KVSEAM_FAULTS_ALLOW_KILL=1 */
  readonly allowKill: boolean
}

/** @throws KVSEAM_FAULTS_SYNTAX for rules that are empty or can't be read, KVSEAM_CONFIG_INVALID for the other flags */
export function faultEnvironment(env: NodeJS.ProcessEnv = process.env): FaultEnvironment {
  return {
    source: source(env),
    logFile: logFile(env),
    allowReal: allowed(env, 'KVSEAM_FAULTS_ALLOW_REAL'),
    allowKill: allowed(env, 'KVSEAM_FAULTS_ALLOW_KILL'),
  }
}

function source(env: NodeJS.ProcessEnv): FaultSource | undefined {
  const text = env['KVSEAM_FAULTS']
  const file = env['KVSEAM_FAULTS_FILE']
  if (text !== undefined && file !== undefined) {
    throw new SeamError(
      'KVSEAM_FAULTS_SYNTAX',
      { variable: 'KVSEAM_FAULTS_FILE', file },
      'KVSEAM_FAULTS and KVSEAM_FAULTS_FILE are both set; unset one of them',
    )
  }
  if (text !== undefined) return { origin: 'KVSEAM_FAULTS', text: filled('KVSEAM_FAULTS', text) }
  if (file === undefined) return undefined
  filled('KVSEAM_FAULTS_FILE', file)
  try {
    return { origin: `KVSEAM_FAULTS_FILE ${file}`, text: readFileSync(file, 'utf8') }
  } catch (cause) {
    throw new SeamError(
      'KVSEAM_FAULTS_SYNTAX',
      { variable: 'KVSEAM_FAULTS_FILE', file },
      `KVSEAM_FAULTS_FILE names ${file}, which can't be read (${cause instanceof Error ? cause.message : cause})`,
      { cause },
    )
  }
}

function filled(variable: string, value: string): string {
  if (value.trim() !== '') return value
  throw new SeamError(
    'KVSEAM_FAULTS_SYNTAX',
    { variable, line: 1, column: 1 },
    `${variable} is set but empty; unset it, or give a rule such as rail0.read=delay(20ms)`,
  )
}

function logFile(env: NodeJS.ProcessEnv): string | undefined {
  const file = env['KVSEAM_FAULTS_LOG']
  if (file === '') throw refuse('KVSEAM_CONFIG_INVALID', 'KVSEAM_FAULTS_LOG', file, 'unset it or name a file')
  return file
}

function allowed(env: NodeJS.ProcessEnv, variable: string): boolean {
  const value = env[variable]
  if (value === undefined || value === '0') return false
  if (value === '1') return true
  throw refuse('KVSEAM_CONFIG_INVALID', variable, value, 'it is 1, 0 or unset')
}
