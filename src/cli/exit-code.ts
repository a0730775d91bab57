// The exit codes of the CLI: scripts branch on them, so they are part of the public face.

import { SeamError } from '../errors.js'

export const EXIT = {
  ok: 0,
  failure: 1,
  /** The command line is wrong. */
  usage: 2,
  /** The command ran, and what it measured or checked does not pass. */
  gateFailed: 3,
  /** The native addon or the transport asked for is not to be had. */
  backendMissing: 4,
  /** Ctrl-C; a process ended by SIGTERM gives 143 by the same rule, 128 + the signal's number. */
  interrupted: 130,
} as const

/** The exit code for an error that ended a command. */
export function exitCodeOf(error: unknown): number {
  if (!SeamError.is(error)) return EXIT.failure
  switch (error.code) {
    case 'KVSEAM_USAGE':
      return EXIT.usage
    case 'KVSEAM_BACKEND_UNAVAILABLE':
    case 'KVSEAM_ADDON_MISSING':
    case 'KVSEAM_ADDON_MISMATCH':
      return EXIT.backendMissing
    default:
      return EXIT.failure
  }
}
