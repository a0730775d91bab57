// Ties the lines of a record log together: each ends in the hash of the line before it, so that a line that was changed,
// dropped or put elsewhere is found by reading.

import { createHash } from 'node:crypto'

/** SHA-256 of one line without its line end, lower-case hexadecimal. */
export function lineHash(line: string): string {
  return createHash('sha256').update(line).digest('hex')
}

/** The writing end. The first line of a chain carries `"prevHash":null`. */
export class Chain {
  #previous: string | null = null

  /** @param json an object's JSON text with at least one member @returns the line to write, without a line end */
  link(json: string): string {
    const line = `${json.slice(0, -1)},"prevHash":${this.#previous === null ? 'null' : `"${this.#previous}"`}}`
    this.#previous = lineHash(line)
    return line
  }
}

/** The line as it was before it was chained: its record alone. */
export function unlinked(line: string): string {
  return line.replace(/,"prevHash":(null|"[0-9a-f]{64}")\}$/, '}')
}

/** The reading end. */
export class ChainCheck {
  #previous: string | undefined

  /** False when the line does not follow the one before it. A `null` starts a new chain and always fits. */
  follows(line: string, prevHash: unknown): boolean {
    const fits = prevHash === null || prevHash === this.#previous
    this.#previous = lineHash(line)
    return fits
  }
}
