// Finds the published reference data, which lives beside the repository and is no part of it: KVSEAM_SHARED names the
// folder, else ../shared. Tests that need it are skipped with a message when it is absent.

import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { TestContext } from 'vitest'

const SHARED = process.env['KVSEAM_SHARED'] ?? resolve(import.meta.dirname, '../../../../shared')

export function sharedReferenceFile(name: string, context: TestContext): { file: string; text: string } {
  const file = resolve(SHARED, 'reference', name)
  if (!existsSync(file)) context.skip(`${file} is absent; set KVSEAM_SHARED to the folder that holds reference/${name}`)
  return { file, text: readFileSync(file, 'utf8') }
}
