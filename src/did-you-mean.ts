// Finds the known name nearest to a mistyped one, so that an error text can offer it.

/** Longer names are not compared: nobody mistypes 64 characters, and the cost grows with the product of the lengths. */
const LONGEST_NAME = 64

/**
 * The known name nearest to `name`, or undefined when none is near. Near means: at most a third of the name's characters
 * (at least one) inserted, dropped, replaced or swapped with a neighbour; or else the one known name that begins with `name`.
 * Case is ignored; of equally near names the first listed wins.
 */
export function nearestName(name: string, known: Iterable<string>): string | undefined {
  if (name.length === 0 || name.length > LONGEST_NAME) return undefined
  const wanted = name.toLowerCase()
  let best: string | undefined
  let bestDistance = Math.max(1, Math.floor(name.length / 3)) + 1
  const extended: string[] = []
  for (const candidate of known) {
    if (candidate.length > LONGEST_NAME) continue
    const lower = candidate.toLowerCase()
    const distance = editDistance(wanted, lower)
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
    if (name.length >= 3 && lower.startsWith(wanted)) extended.push(candidate)
  }
  return best ?? (extended.length === 1 ? extended[0] : undefined)
}

/** ` (did you mean X?)` with a leading space for an error text, or the empty string when no known name is near. */
export function didYouMean(name: string, known: Iterable<string>): string {
  const nearest = nearestName(name, known)
  return nearest === undefined ? '' : ` (did you mean ${nearest}?)`
}

/**
 * Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`, no part edited twice
 * (optimal string alignment distance). Time a.length * b.length.
 */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1
      let cost = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + same)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        cost = Math.min(cost, beforeLast[j - 2]! + 1)
      row.push(cost)
    }
    beforeLast = last
    last = row
  }
  return last[b.length]!
}
