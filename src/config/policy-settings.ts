// Settings of the policy from wherever they come: options, a JSON file, KVSEAM_POLICY_*, `--set`. One schema, the table in
// src/policy/settings.ts; whatever is not in it, or out of its range, is refused whole with the place it stood in.

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { didYouMean } from '../did-you-mean.js'
import { SeamError } from '../errors.js'
import {
  COMPONENTS,
  type Component,
  type PolicySettings,
  SETTING_NAMES,
  SETTINGS,
  type SettingName,
} from '../policy/settings.js'

/** Any part of the settings; the rest keeps its default. */
export type PartialSettings = { readonly [K in SettingName]?: PolicySettings[K] }

/** `KVSEAM_POLICY_UP_USABLE=0.4` is `upUsable`. */
const ENVIRONMENT_PREFIX = 'KVSEAM_POLICY_'

/** @param where what the text of an error calls it, e.g. `options.policy` @throws KVSEAM_CONFIG_INVALID */
export function withSettings(base: PolicySettings, changes: unknown, where: string): PolicySettings {
  if (typeof changes !== 'object' || changes === null || Array.isArray(changes)) {
    throw invalid(where, changes, 'it must be an object of settings')
  }
  const settings: Record<string, unknown> = { ...base }
  for (const [key, value] of Object.entries(changes)) {
    if (value === undefined) continue
    settings[known(key, where)] = checked(key as SettingName, value, `${where}.${key}`)
  }
  const complete = Object.freeze(settings) as unknown as PolicySettings
  checkOrder(complete, where)
  return complete
}

/** Settings as text, e.g. of `--set upUsable=0.4`; a list is separated by commas. @throws KVSEAM_CONFIG_INVALID */
export function withTexts(base: PolicySettings, texts: readonly string[], where: string): PolicySettings {
  const changes: Record<string, unknown> = {}
  for (const text of texts) {
    const at = text.indexOf('=')
    if (at < 0) throw invalid(where, text, 'write KEY=VALUE')
    const key = known(text.slice(0, at), where)
    changes[key] = parsedText(key, text.slice(at + 1))
  }
  return withSettings(base, changes, where)
}

/** @throws KVSEAM_CONFIG_INVALID when a KVSEAM_POLICY_ variable is no setting or has no value of one */
export function withEnvironment(
  base: PolicySettings,
  env: Readonly<Record<string, string | undefined>>,
): PolicySettings {
  const changes: Record<string, unknown> = {}
  const names = new Map(SETTING_NAMES.map((name) => [variable(name), name]))
  for (const [key, text] of Object.entries(env)) {
    if (!key.startsWith(ENVIRONMENT_PREFIX) || text === undefined) continue
    const name = names.get(key)
    if (name === undefined) {
      throw invalid(key, text, `no setting has that variable${didYouMean(key, [...names.keys()])}`)
    }
    changes[name] = parsedText(name, text)
  }
  return withSettings(base, changes, 'environment')
}

/** @throws KVSEAM_CONFIG_INVALID when the file can't be read or is no JSON object of settings */
export function withFile(base: PolicySettings, file: string): PolicySettings {
  let changes: unknown
  try {
    changes = JSON.parse(readFileSync(file, 'utf8'))
  } catch (cause) {
    const problem = cause instanceof Error ? cause.message : String(cause)
    throw new SeamError(
      'KVSEAM_CONFIG_INVALID',
      { file },
      `the policy file ${file} can't be used (${problem}); it must be a JSON object of settings`,
      { cause },
    )
  }
  return withSettings(base, changes, file)
}

/** Every setting in the order of their names, so that equal settings have equal text. */
export function canonicalSettings(settings: PolicySettings): string {
  const sorted = [...SETTING_NAMES].sort()
  return JSON.stringify(Object.fromEntries(sorted.map((name) => [name, settings[name]])))
}

/** SHA-256 of the canonical text and the profile's name, hexadecimal. */
export function policyHash(profile: string, settings: PolicySettings): string {
  return createHash('sha256')
    .update(`${profile}\n${canonicalSettings(settings)}`)
    .digest('hex')
}

function known(key: string, where: string): SettingName {
  if (Object.hasOwn(SETTINGS, key)) return key as SettingName
  throw invalid(
    `${where}.${key}`,
    undefined,
    `there is no such setting${didYouMean(key, SETTING_NAMES)}; docs/default-policy.md lists them`,
  )
}

function checked(name: SettingName, value: unknown, where: string): unknown {
  const setting = SETTINGS[name]
  if (setting.kind === 'list') {
    if (!Array.isArray(value)) throw invalid(where, value, `it must be a list of ${COMPONENTS.join(', ')}`)
    for (const item of value) {
      if (!COMPONENTS.includes(item as Component)) {
        const hint = typeof item === 'string' ? didYouMean(item, COMPONENTS) : ''
        throw invalid(where, item, `known are ${COMPONENTS.join(', ')}${hint}`)
      }
    }
    // Order and repetition mean nothing, and must not give another hash.
    return Object.freeze(COMPONENTS.filter((component) => value.includes(component)))
  }
  const { least, most, whole } = setting
  if (typeof value !== 'number' || !(value >= least && value <= most) || (whole && !Number.isInteger(value))) {
    throw invalid(where, value, `it must be a ${whole ? 'whole ' : ''}number from ${least} to ${most}`)
  }
  return value
}

/** Pairs that contradict each other would make a state machine that never comes to rest. */
const ASCENDING: readonly (readonly SettingName[])[] = [
  ['downUsable', 'upUsable', 'upRestricted', 'upCandidate'],
  ['downRestricted', 'upRestricted'],
  ['downCandidate', 'upCandidate'],
  ['downUsable', 'downRestricted', 'downCandidate'],
  ['holdMs', 'holdMostMs'],
]

function checkOrder(settings: PolicySettings, where: string): void {
  for (const names of ASCENDING) {
    names.forEach((name, i) => {
      const before = names[i - 1]
      if (before === undefined || settings[before] <= settings[name]) return
      throw invalid(`${where}.${name}`, settings[name], `it must be at least ${before}, which is ${settings[before]}`)
    })
  }
}

function parsedText(name: SettingName, text: string): unknown {
  if (SETTINGS[name].kind === 'list') return text === '' ? [] : text.split(',').map((item) => item.trim())
  return text.trim() === '' ? text : Number.isNaN(Number(text)) ? text : Number(text)
}

function variable(name: SettingName): string {
  return ENVIRONMENT_PREFIX + name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()
}

function invalid(field: string, value: unknown, remedy: string): SeamError {
  const shown = value === undefined ? '' : ` is ${typeof value === 'string' ? JSON.stringify(value) : String(value)}`
  return new SeamError('KVSEAM_CONFIG_INVALID', { field, value: value ?? null }, `${field}${shown}; ${remedy}`)
}
