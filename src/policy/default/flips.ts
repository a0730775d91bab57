// What would have changed a decision: the smallest known changes, nearest first.
//   admitted  the deadline below which the path would be lost, and what the runner-up lacked
//   rejected  for the three nearest candidates, everything that would have to hold at once

import type { Flip, Verdict } from '../policy.js'
import { type Candidate, failedChecks } from './checks.js'
import type { Judgement } from './judgement.js'

const MOST_FLIPS = 3

export function flipsOf(verdict: Verdict, judgement: Judgement): readonly Flip[] {
  return verdict === 'admitted' ? lossesOf(judgement) : wayIn(judgement)
}

/** Least remaining time whose budget is at least `neededUs`. */
function remainingFor(neededUs: number, margin: number): number {
  let remainingUs = Math.ceil(neededUs / (1 - margin))
  while (Math.floor(remainingUs * (1 - margin)) < neededUs) remainingUs++
  return remainingUs
}

function timeChange(neededUs: number, judgement: Judgement): Flip['changes'][number] {
  const { request, nowUs, demand, rules } = judgement
  const remainingUs = remainingFor(neededUs, rules.settings.deadlineMargin)
  return request.deadlineUs === null
    ? { field: 'slaUs', have: demand.remainingUs, need: remainingUs }
    : { field: 'deadlineUs', have: request.deadlineUs, need: nowUs + remainingUs }
}

function lossesOf(judgement: Judgement): Flip[] {
  const { candidates, chosen, rules } = judgement
  const winner = candidates[chosen]!
  const flips: Flip[] = []
  if (rules.prediction) {
    let shortest = winner.p50Us
    for (const each of candidates) if (each.fails === 0 && each.p50Us < shortest) shortest = each.p50Us
    const change = timeChange(shortest, judgement)
    // One microsecond less than the shortest predicted time needs, and nobody can serve it.
    flips.push({ to: 'rejected', path: winner.path.id, changes: [{ ...change, need: change.need! - 1 }] })
  }
  let runnerUp: Candidate | null = null
  for (const candidate of candidates) {
    if (candidate === winner || candidate.fails !== 0) continue
    if (runnerUp === null || before(candidate, runnerUp)) runnerUp = candidate
  }
  if (runnerUp !== null) {
    const { level } = winner
    const own = runnerUp.level
    flips.push({
      to: 'other_path',
      path: runnerUp.path.id,
      changes:
        own === level
          ? [{ field: 'costUs', have: runnerUp.cost, need: winner.cost }]
          : [{ field: 'level', have: own, need: level }],
    })
  }
  return flips
}

function before(a: Candidate, b: Candidate): boolean {
  return a.level < b.level || (a.level === b.level && a.cost < b.cost)
}

function wayIn(judgement: Judgement): Flip[] {
  const flips = judgement.candidates.map((candidate): Flip => {
    const changes = failedChecks(candidate, judgement.demand).map(({ rule, have, limit }) => {
      if (rule !== 'deadline') return { field: rule, have, need: limit }
      const strict = judgement.rules.gates === 'forbid' || !judgement.rules.on('at-risk')
      return timeChange(strict ? candidate.quantileUs : candidate.p50Us, judgement)
    })
    return { to: 'admitted', path: candidate.path.id, changes }
  })
  return flips
    .filter((flip) => flip.changes.length > 0)
    .sort((a, b) => a.changes.length - b.changes.length)
    .slice(0, MOST_FLIPS)
}
