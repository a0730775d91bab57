// One name for each profile, and the one place where a policy is made from it.

import { createDefaultPolicy } from './default/profile.js'
import type { Policy } from './policy.js'
import { createReferencePolicy } from './reference/profile.js'
import type { PolicySettings } from './settings.js'

export const PROFILES = ['default', 'isolate', 'reference'] as const
export type Profile = (typeof PROFILES)[number]

export function isProfile(name: unknown): name is Profile {
  return PROFILES.includes(name as Profile)
}

/** @param hash of the settings, for the records; `reference` has neither settings nor hash */
export function createPolicy(profile: Profile, settings: PolicySettings, hash: string): Policy {
  switch (profile) {
    case 'default':
    case 'isolate':
      return createDefaultPolicy(profile, settings, hash)
    case 'reference':
      return createReferencePolicy()
  }
}
