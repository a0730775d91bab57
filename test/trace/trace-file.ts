// Small traces written by the tests themselves, in a folder that is gone afterwards.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

/** Path of a new file with this text; removed when the test is over. */
export function traceFile(text: string | Uint8Array, name = 'trace.txt'): string {
  const folder = mkdtempSync(join(tmpdir(), 'kvseam-trace-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, name)
  writeFileSync(file, text)
  return file
}

/** Mooncake rows of [timestamp, input, output]. */
export function mooncakeText(rows: readonly (readonly [unknown, unknown, unknown])[]): string {
  return rows
    .map(([timestamp, input_length, output_length]) =>
      JSON.stringify({ timestamp, input_length, output_length, hash_ids: [0, 1] }),
    )
    .join('\n')
}

export const AZURE_HEADER = 'TIMESTAMP,ContextTokens,GeneratedTokens'
