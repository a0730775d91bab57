// A decision record said in sentences, for people who want to know why.

import type { CandidateRecord, FailedCheck, Flip } from '../policy/policy.js'
import type { DecisionRecord } from '../record/decision-record.js'
import { formatBytes, formatNs } from './text.js'

const VERDICTS = {
  admitted: 'was admitted',
  queued: 'had to wait',
  rejected: 'was rejected',
  recompute_locally: 'was told to compute the blocks again at the destination',
} as const

/** @returns one sentence or list item a line */
export function sentencesOf(record: DecisionRecord): string[] {
  const { req } = record
  const name = req.id === null ? `request ${req.n}` : `request ${req.id}`
  const attempt = req.attempt === 0 ? '' : `, attempt ${req.attempt + 1}`
  const deadline = req.deadlineUs === null ? 'no deadline of its own' : `${duration(req.deadlineUs - record.tUs)} left`
  const others = record.candidates.filter((candidate) => !candidate.chosen)
  const chosen = record.candidates.find((candidate) => candidate.chosen)
  return [
    `The ${req.class} ${name} (${formatBytes(req.bytes)}, ${deadline}${attempt}) ${VERDICTS[record.verdict]}${record.chosen === null ? '' : ` over ${record.chosen}`}: ${record.outcome}, ${record.reason}.`,
    `Profile '${record.profile}'${record.policyHash === '' ? '' : ` with settings ${record.policyHash.slice(0, 12)}`}, figures from ${record.label} paths${record.faulted ? ' while faults were being injected' : ''}, ranked by ${record.selection}.`,
    ...(record.panic ? ['Too little healthy capacity was left, so states were overridden (panic).'] : []),
    ...(record.pressure === null ? [] : [`The healthy paths were ${percent(record.pressure)} busy.`]),
    ...(chosen === undefined ? [] : ['', `Chosen: ${said(chosen)}`]),
    ...(others.length === 0
      ? []
      : ['', `${chosen === undefined ? 'Candidates' : 'Not chosen'}:`, ...others.map((each) => `  ${said(each)}`)]),
    ...(record.omitted === 0 ? [] : [`  and ${record.omitted} more that the record leaves out`]),
    ...(record.retryAfterUs === null ? [] : ['', `Asking again in ${duration(record.retryAfterUs)} could end better.`]),
    ...(record.flips.length === 0
      ? []
      : ['', 'What would have changed it:', ...record.flips.map((flip) => `  ${flipped(flip)}`)]),
  ]
}

function said(candidate: CandidateRecord): string {
  const { path, state, model, failed } = candidate
  const figures =
    model === null
      ? `p99 ${candidate.p99Ms.toFixed(1)} ms, jitter ${candidate.jitterMs.toFixed(1)} ms`
      : `predicted ${model.predictedUs.map(duration).join(' / ')}, slowdown ${model.slowdown.map((each) => each.toFixed(2)).join(' / ')}${model.delayUs > 0 ? `, ${duration(model.delayUs)} whatever the size` : ''}, confidence ${percent(model.confidence)}${model.stage === null ? '' : `, canary stage ${model.stage}`}`
  const scores = `GFS ${candidate.gfs.toFixed(2)}, PRS ${candidate.prs.toFixed(2)}, FAE ${candidate.fae.toFixed(2)}`
  const load = `${candidate.activeSessions} of ${candidate.maxSessions} sessions`
  const verdict = candidate.admissible ? 'could take it' : `could not: ${candidate.reason}`
  const checks = failed.filter((check) => check.have !== null).map(checked)
  return `${path} is ${state} (${figures}; ${scores}; ${load}) and ${verdict}${checks.length === 0 ? '' : ` [${checks.join('; ')}]`}.`
}

function checked({ rule, have, limit }: FailedCheck): string {
  return `${rule}: ${figure(have)} where ${figure(limit)} was the limit`
}

function flipped({ to, path, changes }: Flip): string {
  const what = changes.map(
    ({ field, have, need }) => `${field} ${figure(need)}${have === null ? '' : ` instead of ${figure(have)}`}`,
  )
  const end =
    to === 'admitted'
      ? `${path} would have taken it`
      : to === 'rejected'
        ? 'it would have been refused'
        : `${path} would have been chosen`
  return `with ${what.join(' and ')}, ${end}`
}

function figure(value: number | null): string {
  if (value === null) return 'another state'
  return Number.isInteger(value) ? String(value) : value.toPrecision(3)
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`
}

function duration(us: number): string {
  return formatNs(us * 1000)
}
