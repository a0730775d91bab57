// What a caller may hand to a move: refused by name here, before anything is taken.

import { object, refuse, wholeNumber } from '../check.js'
import type { Admitted } from '../decision.js'
import { Descriptors } from '../native/descriptors.js'
import { Path } from '../paths.js'
import type { MoveRequest } from './handoff.js'

/** Only what policy.decide() admitted moves bytes. */
export function checkDecision(decision: Admitted): void {
  object('decision', decision, 'pass what policy.decide() answered')
  if (decision.outcome !== 'admitted' || !(decision.path instanceof Path)) {
    throw refuse(
      'KVSEAM_INVALID_ARGUMENT',
      'decision.outcome',
      decision.outcome,
      'only an admitted decision moves bytes',
    )
  }
}

/** What is wrong whatever the decision; checked before anything is taken. */
export function checkRequest(request: MoveRequest): void {
  object('request', request, 'it must be an object with from and to')
  for (const side of ['from', 'to'] as const) {
    if (request[side] instanceof Descriptors) continue
    throw refuse(
      'KVSEAM_INVALID_ARGUMENT',
      side,
      request[side],
      'it must be a descriptor list, e.g. region.blocks(...)',
    )
  }
  const { signal, verify = 'auto', sourceDigest } = request
  if (signal !== undefined && typeof signal?.throwIfAborted !== 'function') {
    throw refuse('KVSEAM_INVALID_ARGUMENT', 'signal', signal, 'it must be an AbortSignal')
  }
  if (verify !== 'auto' && verify !== 'off' && verify !== 'always') {
    throw refuse('KVSEAM_INVALID_ARGUMENT', 'verify', verify, "it is 'auto', 'off' or 'always'")
  }
  if (sourceDigest !== undefined) wholeNumber('sourceDigest', sourceDigest, 0, 2 ** 32 - 1)
}

/** The admitted path has to start and end where the blocks are. */
export function checkSides(path: Path, request: MoveRequest): void {
  if (request.from.owner !== path.from) {
    throw refuse(
      'KVSEAM_FOREIGN_REGION',
      'from',
      request.from.owner,
      `the admitted path ${path.id} starts at '${path.from}'`,
    )
  }
  if (request.to.owner !== path.to) {
    throw refuse('KVSEAM_FOREIGN_REGION', 'to', request.to.owner, `the admitted path ${path.id} ends at '${path.to}'`)
  }
}
