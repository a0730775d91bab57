// What a scenario hands back: one measured figure, with what it means and what it should reach.

export type Unit = 'ns' | '/s' | 'bytes' | 'B/s' | 'x' | 'share' | 'count'

/** A bound and where it comes from. Printed beside the figure; nothing fails on it. */
export type Target = { readonly atMost: number } | { readonly atLeast: number }

export interface Figure {
  /** Stable: scripts look figures up by it. */
  readonly name: string
  readonly unit: Unit
  /** Median of the rounds. */
  readonly value: number
  /** Smallest and largest round; equal to the value where there was one. */
  readonly low: number
  readonly high: number
  readonly rounds: number
  readonly target: Target | null
  /** null without a target. */
  readonly reached: boolean | null
  /** One line: what was measured, and against what. */
  readonly meaning: string
}

export interface Scenario {
  readonly name: string
  readonly title: string
  run(effort: Effort): Promise<Figure[]>
}

/** How long and how often; the quick one is for checking that the bench works, its figures mean little. */
export interface Effort {
  readonly quick: boolean
  /** Interleaved rounds; every side of a comparison runs once a round. */
  readonly rounds: number
  readonly seed: number
}

export function effortOf(quick: boolean, seed: number): Effort {
  return { quick, rounds: quick ? 3 : 9, seed }
}

/** @param samples one value a round */
export function figure(
  name: string,
  unit: Unit,
  samples: readonly number[],
  meaning: string,
  target: Target | null = null,
): Figure {
  const sorted = [...samples].sort((a, b) => a - b)
  const value = median(sorted)
  return {
    name,
    unit,
    value,
    low: sorted[0]!,
    high: sorted.at(-1)!,
    rounds: samples.length,
    target,
    reached: target === null ? null : meets(value, target),
    meaning,
  }
}

export function median(samples: readonly number[]): number {
  const sorted = [...samples].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

function meets(value: number, target: Target): boolean {
  return 'atMost' in target ? value <= target.atMost : value >= target.atLeast
}
