// Where a seam's policy settings come from, in the order in which one overrides the other: defaults, file, KVSEAM_POLICY_*, options.
// It is read again as a whole at each reload, so that a bad source changes nothing.

import { DEFAULT_SETTINGS, type PolicySettings } from '../policy/settings.js'
import { type PartialSettings, withEnvironment, withFile, withSettings } from './policy-settings.js'

export interface PolicySources {
  /** JSON object of settings; KVSEAM_POLICY_FILE unless told. */
  readonly file: string | undefined
  readonly env: Readonly<Record<string, string | undefined>>
  readonly options: PartialSettings | undefined
}

const FILE_VARIABLE = 'KVSEAM_POLICY_FILE'

/** @throws KVSEAM_CONFIG_INVALID naming the source, the key and the value */
export function settingsFrom({ file, env, options }: PolicySources): PolicySettings {
  const { [FILE_VARIABLE]: fileOfEnvironment, ...variables } = env
  const named = file ?? fileOfEnvironment
  const fromFile = named === undefined ? DEFAULT_SETTINGS : withFile(DEFAULT_SETTINGS, named)
  return withSettings(withEnvironment(fromFile, variables), options ?? {}, 'options.policy')
}
