// A made-up life of an orchestrator, in virtual time: what a recorder writes of it, for replays to run again.

import { policyHash, withSettings } from '../../src/config/policy-settings.js'
import { createPolicy, type Profile } from '../../src/policy/create.js'
import type { SampleOutcome } from '../../src/policy/policy.js'
import { DEFAULT_SETTINGS } from '../../src/policy/settings.js'
import { WORKLOADS } from '../../src/policy/workload.js'
import { streamOf, uint32At } from '../../src/random.js'
import { Chain } from '../../src/record/chain.js'
import { RecordedPolicy, type StreamRecord } from '../../src/record/recorded-policy.js'

const CLASSES = [WORKLOADS.release, WORKLOADS.interactive, WORKLOADS.batch] as const
const PATHS = 4

/** The lines of a log: `decisions` requests over four paths, the first of which turns slow and lossy half-way. */
export function recordedRun(profile: Profile, seed: number, decisions: number): string[] {
  const settings = withSettings(DEFAULT_SETTINGS, { seed }, 'test')
  const chain = new Chain()
  const lines: string[] = []
  let faulted = false
  const stream = {
    epoch: `seed-${seed}`,
    label: () => 'mock',
    faulted: () => faulted,
    wanted: () => true,
    write: (record: StreamRecord) => lines.push(chain.link(JSON.stringify(record))),
  }
  const draws = streamOf(seed, 'recorded run')
  let drawn = 0
  const seen = streamOf(seed, 'looks')
  let looked = 0
  const looks = { next: () => uint32At(seen, looked++) % 4 }
  const below = (most: number): number => uint32At(draws, drawn++) % most
  const policy = new RecordedPolicy(
    createPolicy(profile, settings, policyHash(profile, settings)),
    profile === 'reference' ? null : settings,
    stream,
    0,
  )
  for (let i = 0; i < PATHS; i++) {
    policy.addPath(
      { id: `p/r${i}>d/r${i}`, pool: 'd', maxSessions: 4, softCapacityFraction: 0, riskGroups: [`rail:r${i}`] },
      10,
    )
  }
  let nowUs = 1000
  const inFlight: { lease: number; path: number; bytes: number; endUs: number }[] = []
  for (let n = 0; n < decisions; n++) {
    nowUs += 200 + below(5000)
    faulted = n > decisions / 2
    if (below(10) === 0) policy.tick(nowUs)
    while (inFlight.length > 0 && inFlight[0]!.endUs <= nowUs) {
      const { lease, path, bytes } = inFlight.shift()!
      const broken = faulted && path === 0
      const outcome: SampleOutcome = broken && below(3) === 0 ? 'timeout' : 'ok'
      const totalUs = (broken ? 60_000 : 400) + below(300)
      const sample = { path, leaseId: lease, outcome, totalUs, bytes, source: 'transfer' as const, selfDelayed: false }
      policy.observe({ ...sample, dropFraction: outcome === 'ok' ? 0 : 1 }, nowUs)
      policy.release(lease, nowUs)
    }
    const bytes = 1 + below(4_000_000)
    if (nowUs >= policy.nextTickUs()) policy.tick(nowUs, 'request')
    const request = {
      requestId: `r-${n}`,
      workload: CLASSES[below(3)]!,
      bytes,
      deadlineUs: nowUs + 2000 + below(60_000),
      candidates: [0, 1, 2, 3],
      leaseUs: 3_000_000,
      attempt: 0,
      recomputeUs: below(4) === 0 ? 20_000 : null,
      mayQueue: below(2) === 0,
      seq: policy.nextSeq,
    }
    // Looking leaves no trace, so a replay, which does not look, has to come to the same.
    if (looks.next() === 0) policy.explain(request, nowUs)
    if (looks.next() === 1) policy.snapshot(n % PATHS)
    const judged = policy.decide(request, nowUs)
    const { leaseId, path, verdict } = judged.decision
    if (verdict === 'admitted') {
      policy.start(leaseId, nowUs)
      inFlight.push({ lease: leaseId, path, bytes, endUs: nowUs + below(9000) })
    }
    if (profile !== 'reference' && n === Math.floor(decisions / 3)) {
      policy.pin(1, 'quarantined', 'maintenance', nowUs + 400_000, nowUs)
    }
    if (profile !== 'reference' && n === Math.floor(decisions / 4)) {
      const next = withSettings(settings, { deadlineMargin: 0.1 }, 'test')
      policy.configure(next, policyHash(profile, next), nowUs)
    }
  }
  policy.flush()
  return lines
}
