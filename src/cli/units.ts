// Reads amounts with units as people write them on a command line: 64KiB, 250ms, 1.5s.

const BYTE_UNITS: Readonly<Record<string, number>> = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
}

/** Nanoseconds. */
const TIME_UNITS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 6e10,
  min: 6e10,
  h: 3.6e12,
}

const AMOUNT = /^(\d+(?:\.\d+)?)\s*([a-zµ]*)$/i

/** An amount, or the reason why the text is none, as the end of a sentence. */
export type Amount = { readonly value: number } | { readonly problem: string }

/** Bytes, an integer: `65536`, `64KiB` (1024s), `64KB` (1000s), `1.5MiB`. `64K` is refused, for it means either. */
export function parseBytes(text: string): Amount {
  const [number, unit] = split(text)
  if (number === undefined) return { problem: 'is no number of bytes; write for example 65536 or 64KiB' }
  const known = unit === '' ? 1 : ownValue(BYTE_UNITS, unit.toLowerCase())
  if (known === undefined) {
    return /^[kmgt]$/i.test(unit)
      ? {
          problem: `can mean two sizes; write ${number}${unit.toUpperCase()}iB (1024s) or ${number}${unit.toUpperCase()}B (1000s)`,
        }
      : { problem: 'has an unknown unit; use B, KiB, MiB, GiB, TiB, KB, MB, GB or TB' }
  }
  const value = Number(number) * known
  return Number.isSafeInteger(value) ? { value } : { problem: 'is no whole number of bytes below 2^53' }
}

/** Milliseconds, to the nanosecond: `250ms`, `1.5s`, `20us`, `2m`. A bare number is refused (but 0), for it has no unit. */
export function parseDuration(text: string): Amount {
  const [number, unit] = split(text)
  if (number === undefined) return { problem: 'is no duration; write for example 250ms or 1.5s' }
  if (unit === '' && Number(number) !== 0) return { problem: `has no unit; write ${number}ms or ${number}s` }
  const known = unit === '' ? 1 : ownValue(TIME_UNITS, unit.toLowerCase())
  if (known === undefined) return { problem: 'has an unknown unit; use ns, us, ms, s, m or h' }
  const ns = Math.round(Number(number) * known)
  return Number.isSafeInteger(ns) ? { value: ns / 1e6 } : { problem: 'is too long' }
}

function split(text: string): [string, string] | [undefined] {
  const match = AMOUNT.exec(text.trim())
  return match === null ? [undefined] : [match[1]!, match[2]!]
}

function ownValue(units: Readonly<Record<string, number>>, name: string): number | undefined {
  return Object.hasOwn(units, name) ? units[name] : undefined
}
