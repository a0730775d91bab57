// Whether this build carries the UCX backend. Its tests are skipped where not, and say why.

import { binding } from '../../src/native/binding.js'

const reason = binding().probeBackend('ucx')
if (reason !== null) console.warn(`tests of the ucx backend are skipped: ${reason.message}`)

export const ucxHere = reason === null
