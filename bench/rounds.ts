// Interleaved rounds: on a shared machine the speed of everything drifts, so what is compared must run side by side.

/**
 * Runs every side once to warm up, then once a round, in alternating order.
 * @returns what each side returned, round by round
 */
export async function interleaved<Side extends string>(
  sides: Readonly<Record<Side, () => number | Promise<number>>>,
  rounds: number,
): Promise<Record<Side, number[]>> {
  const names = Object.keys(sides) as Side[]
  const samples = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Side, number[]>
  for (const name of names) await sides[name]()
  for (let round = 0; round < rounds; round++) {
    for (const name of round % 2 === 0 ? names : [...names].reverse()) samples[name].push(await sides[name]())
  }
  return samples
}

/** Round by round, so that a slow moment of the machine weighs on both. */
export function ratios(numerators: readonly number[], denominators: readonly number[]): number[] {
  return numerators.map((numerator, round) => numerator / denominators[round]!)
}

export function elapsedNs(start: bigint): number {
  return Number(process.hrtime.bigint() - start)
}
