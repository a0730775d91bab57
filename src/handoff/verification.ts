// Whether the bytes that arrived are those that were sent: digests of both sides, compared before the blocks may be used.

import { refuse } from '../check.js'
import { SeamError } from '../errors.js'
import type { Descriptors } from '../native/descriptors.js'

export interface VerificationTerms {
  readonly from: Descriptors
  readonly to: Descriptors
  readonly verify?: 'auto' | 'off' | 'always'
  readonly sourceDigest?: number
}

/** Null when there is nothing to compare with here. @throws KVSEAM_INVALID_ARGUMENT when `always` can't be met */
export function sourceDigest(terms: VerificationTerms): Promise<number> | number | null {
  const mode = terms.verify ?? 'auto'
  if (mode === 'off') return null
  const destinationHere = terms.to.side.peer === undefined
  if (destinationHere && terms.sourceDigest !== undefined) return terms.sourceDigest
  if (destinationHere && terms.from.side.peer === undefined) return terms.from.digest()
  if (mode === 'auto') return null
  throw refuse(
    'KVSEAM_INVALID_ARGUMENT',
    'verify',
    mode,
    destinationHere
      ? 'the source is in another process, so pass its digest as `sourceDigest`'
      : 'the destination is in another process, so its owner has to verify; send the digest along with `notify`',
  )
}

/** @throws KVSEAM_INTEGRITY when the destination holds other bytes */
export async function compareDigest(to: Descriptors, expected: number, path: string): Promise<void> {
  const found = await to.digest()
  if (found === expected) return
  throw new SeamError(
    'KVSEAM_INTEGRITY',
    { path, expected, found, bytes: to.bytes },
    `the ${to.bytes} bytes that arrived over ${path} are not those that were sent (CRC-32C ${found} instead of ${expected}); do not decode from them`,
  )
}
