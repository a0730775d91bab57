// The end of a demo: what happened, in ten lines for people and as one object for programs.

import { formatBytes, formatCount, formatRate } from '../cli/text.js'
import { CLASS_SHARES, CLASSES } from './plan.js'
import type { DemoRun } from './run.js'
import { quantile, type StateChange, topReason } from './tally.js'

export interface DemoSummary {
  readonly schema: 'kvseam.demo/1'
  /** Every figure below comes from this kind of backend. */
  readonly label: string
  readonly interrupted: boolean
  readonly seconds: number
  readonly seed: number
  readonly model: string
  readonly bytesScale: number
  readonly requests: number
  readonly verified: number
  readonly mismatched: number
  readonly failures: Record<string, number>
  readonly bytes: number
  readonly descriptors: number
  readonly classes: Record<
    string,
    {
      requests: number
      admitted: number
      rejected: number
      delivered: number
      onTime: number
      failed: number
      p50Ms: number
      p99Ms: number
    }
  >
  /** Rules given by the user instead of the demo's own fault. */
  readonly faults: string | null
  readonly fault: null | {
    readonly rule: string
    readonly path: string
    readonly fromMs: number
    readonly toMs: number
    /** On that path while the fault was on. */
    readonly decisions: Record<string, { chosen: number; welcome: number; refused: number; reason: string | null }>
  }
  readonly stateChanges: readonly StateChange[]
  readonly permits: { minted: number; redeemed: number; revoked: number; expired: number }
  readonly records: { file: string | null; written: number; lost: number }
}

export function summarize(run: DemoRun, interrupted: boolean): DemoSummary {
  const { tally, plan, fault } = run
  const { minted, redeemed, revoked, expired } = run.permits
  return {
    schema: 'kvseam.demo/1',
    label: run.label,
    interrupted,
    seconds: run.elapsedMs() / 1000,
    seed: plan.seed,
    model: plan.model,
    bytesScale: plan.bytesScale,
    requests: plan.requests.length,
    verified: tally.verified,
    mismatched: tally.mismatched,
    failures: Object.fromEntries(tally.failures),
    bytes: tally.bytes,
    descriptors: tally.descriptors,
    classes: Object.fromEntries(
      CLASSES.map((name) => {
        const { latenciesMs, ...counts } = tally.classes[name]
        return [name, { ...counts, p50Ms: quantile(latenciesMs, 0.5), p99Ms: quantile(latenciesMs, 0.99) }]
      }),
    ),
    faults: run.faults ?? null,
    fault:
      fault === undefined
        ? null
        : {
            ...fault,
            decisions: Object.fromEntries(
              CLASSES.map((name) => {
                const count = tally.duringFault[name]
                return [
                  name,
                  {
                    chosen: count.chosen,
                    welcome: count.welcome,
                    refused: count.refused,
                    reason: topReason(count)?.example ?? null,
                  },
                ]
              }),
            ),
          },
    stateChanges: tally.stateChanges,
    permits: { minted, redeemed, revoked, expired },
    records: run.seam.records,
  }
}

export function storyLines(summary: DemoSummary, plan: DemoRun['plan']): string[] {
  const { classes, fault, permits, records } = summary
  const played = CLASSES.reduce((sum, name) => sum + classes[name]!.requests, 0)
  const shares = CLASSES.map((name) => `${CLASS_SHARES[name]} % ${name}`).join(', ')
  const failures = Object.entries(summary.failures).map(([code, count]) => `${count} x ${code}`)
  return [
    `1. ${played} of ${summary.requests} requests in ${summary.seconds.toFixed(1)} s (${shares}; seed ${summary.seed})${summary.interrupted ? ', interrupted' : ''}.`,
    `2. KV shape ${summary.model}, bytes scaled by ${plan.bytesScale.toPrecision(3)}: ${formatCount(summary.descriptors)} descriptors of ${plan.blockBytes} B, ` +
      `${formatBytes(summary.bytes)} moved (${formatRate(summary.bytes / summary.seconds)}, ${summary.label})${plan.cut > 0 ? `; ${plan.cut} long prompts cut` : ''}.`,
    `3. ${summary.verified} digests verified by the decode side, ${summary.mismatched} mismatched, ${failures.length === 0 ? 'no failures' : failures.join(', ')}.`,
    ...faultLines(summary),
    `8. From arrival to verified, p50 / p99: ${CLASSES.map((name) => `${name} ${classes[name]!.p50Ms.toFixed(1)} / ${classes[name]!.p99Ms.toFixed(1)} ms (${onTime(classes[name]!)} on time)`).join(', ')}.`,
    `9. ${permits.minted} permits minted, ${permits.redeemed} used for exactly one transfer each, ${permits.revoked} revoked, ${permits.expired} expired; no byte moved without one.`,
    `10. Every decision with all its reasons: ${records.file} (${records.written} records${records.lost > 0 ? `, ${records.lost} lost` : ''}${fault === null ? '' : `; try: grep '"class":"interactive"' ${records.file} | tail -1`}).`,
  ]
}

function faultLines(summary: DemoSummary): string[] {
  const { fault } = summary
  if (fault === null) {
    return [
      summary.faults === null
        ? '4. No fault was on.'
        : `4. Faults were on as given (${summary.faults}), on no path of the demo's own choice.`,
      `5. State changes: ${summary.stateChanges.length}.`,
      `6. ${rejections(summary)}`,
      '7. Run it without --faults and --no-fault to see one path turn gray.',
    ]
  }
  const { batch, interactive, release } = fault.decisions
  const changes = summary.stateChanges.filter((change) => change.path === fault.path)
  const line = changes.map((change) => `${change.to} at ${(change.atMs / 1000).toFixed(1)} s`).join(', then ')
  const seconds = (ms: number): string => (ms / 1000).toFixed(1)
  const healthyAgain = changes.filter((change) => change.to === 'healthy' && change.atMs > fault.toMs).at(-1)
  return [
    `4. ${fault.path} turned gray from ${seconds(fault.fromMs)} s to ${seconds(fault.toMs)} s (${fault.rule}): alive, correct, late.`,
    `5. Same path, same moment: batch ${welcomed(batch!)}; interactive ${refused(interactive!)}; release ${refused(release!)}.`,
    `6. Its state: ${changes[0]?.from ?? 'as at the beginning'}${line === '' ? '' : `, ${line}`}. ${rejections(summary)}`,
    healthyAgain === undefined
      ? '7. It was not healthy again when the run ended: restoring takes clean transfers, not time.'
      : `7. Restored in stages, on clean evidence: healthy again ${seconds(healthyAgain.atMs - fault.toMs)} s after the fault was gone, strict work last.`,
  ]
}

function onTime({ requests, onTime: good }: { requests: number; onTime: number }): string {
  return `${requests === 0 ? 0 : Math.round((100 * good) / requests)} %`
}

type FaultDecisions = NonNullable<DemoSummary['fault']>['decisions'][string]

function welcomed({ chosen, welcome, refused: no }: FaultDecisions): string {
  return `could take it ${chosen + welcome} times of ${chosen + welcome + no} and did ${chosen} times`
}

function refused({ chosen, welcome, refused: no, reason }: FaultDecisions): string {
  const all = chosen + welcome + no
  if (no > 0) return `was refused ${no} times of ${all} (${reason}) and went there ${chosen} times`
  return `was never refused there, and went elsewhere ${welcome} times of ${all}`
}

function rejections(summary: DemoSummary): string {
  const rejected = CLASSES.map((name) => [name, summary.classes[name]!.rejected] as const).filter(
    ([, count]) => count > 0,
  )
  if (rejected.length === 0) return 'No request was turned away: another path took what this one could not.'
  return `Turned away altogether: ${rejected.map(([name, count]) => `${count} ${name}`).join(', ')} (their decode side would recompute).`
}
