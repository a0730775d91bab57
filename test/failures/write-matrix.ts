// npm run matrix: writes docs/failure-matrix.md anew.

import { writeFileSync } from 'node:fs'
import { MATRIX_FILE, renderMatrix } from './matrix.js'

writeFileSync(MATRIX_FILE, renderMatrix())
