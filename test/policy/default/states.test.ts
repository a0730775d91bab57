// How states move: soft evidence steers, failures quarantine, and quarantine ends by proof.

import { expect, test } from 'vitest'
import { WORKLOADS, type WorkloadProfile } from '../../../src/policy/workload.js'
import { idealUs, paths, Story } from './streams.js'

test('a path nobody has measured is unknown, carries its first transfer, and is healthy only after payload has arrived', () => {
  const story = new Story(paths(1))
  expect(story.state(0)).toBe('unknown')
  expect(story.transfer([0]).verdict).toBe('admitted')
  story.pass(250)
  expect(story.state(0)).toBe('unknown')
  story.prove(0)
  expect(story.state(0)).toBe('healthy')
})

test('probes alone never make a path healthy', () => {
  const story = new Story(paths(1))
  story.probe(60_000, () => true)
  expect(story.state(0)).toBe('unknown')
})

test('a healthy path without evidence for staleMs is unknown again', () => {
  const story = new Story(paths(1)).prove(0)
  story.pass(59_000)
  expect(story.state(0)).toBe('healthy')
  story.pass(2000)
  expect(story.state(0)).toBe('unknown')
})

test('three failures in a row quarantine; two with a success between do not', () => {
  const story = new Story(paths(2)).prove(0)
  for (const outcome of ['transport', 'transport', 'ok', 'transport', 'transport'] as const)
    story.observe(0, { outcome, totalUs: 5_000_000 })
  expect(story.state(0)).not.toBe('quarantined')
  const [transition] = story.observe(0, { outcome: 'transport' })
  expect(transition).toMatchObject({ from: 'healthy', to: 'quarantined', cause: 'failures' })
})

test.each(['corrupt', 'link_down'] as const)('%s quarantines at once', (outcome) => {
  const story = new Story(paths(2)).prove(0)
  expect(story.observe(0, { outcome })).toMatchObject([{ to: 'quarantined', cause: outcome }])
})

test.each(['remote_busy', 'expired', 'local', 'cancelled', 'telemetry_missing'] as const)(
  '%s says nothing about the path, however often',
  (outcome) => {
    const story = new Story(paths(1)).prove(0)
    for (let i = 0; i < 50; i++) story.observe(0, { outcome, totalUs: 5_000_000 })
    story.pass(2000)
    expect(story.state(0)).toBe('healthy')
    expect(story.policy.snapshot(0).dropFraction).toBe(0)
  },
)

test('a timeout that had less than four times the time it needed is load, not failure', () => {
  const story = new Story(paths(1)).prove(0)
  for (let i = 0; i < 10; i++) story.observe(0, { outcome: 'timeout', totalUs: 25_000 })
  expect(story.state(0)).toBe('healthy')
  for (let i = 0; i < 3; i++) story.observe(0, { outcome: 'timeout', totalUs: 60_000 })
  expect(story.state(0)).toBe('quarantined')
})

test('what was measured while this process was stalled does not hurt the path', () => {
  const story = new Story(paths(1)).prove(0)
  for (let i = 0; i < 20; i++) {
    story.observe(0, { totalUs: 3_000_000, selfDelayed: true })
    story.observe(0, { outcome: 'timeout', totalUs: 3_000_000, selfDelayed: true })
  }
  story.pass(1000)
  expect(story.state(0)).toBe('healthy')
})

test('slowness steers to restricted and never further, and clean payload brings it back over restored', () => {
  const story = new Story(paths(4))
  for (let i = 0; i < 4; i++) story.prove(i)
  story.pass(10_000, () => story.observe(0, { totalUs: 200_000 }))
  expect(story.state(0)).toBe('degraded_restricted')
  expect(story.transitions.some((each) => each.to.startsWith('quarantine'))).toBe(false)
  story.transitions.length = 0
  story.pass(30_000, () => story.observe(0))
  expect(story.transitions.map((each) => each.to)).toEqual(['restored', 'healthy'])
})

test('quarantine ends only after its hold and clean probes, and full use only after canary payload', () => {
  const story = new Story(paths(2))
  story.prove(0).prove(1)
  for (let i = 0; i < 3; i++) story.observe(0, { outcome: 'transport' })
  story.probe(60_000, (index) => index !== 0)
  expect(story.state(0)).toBe('quarantined')
  story.probe(90_000, () => true)
  expect(story.state(0)).toBe('restored')
  const stages: (number | null | undefined)[] = []
  for (let i = 0; i < 60 && story.state(0) === 'restored'; i++) {
    story.nowUs += 250_000
    const decision = story.transfer([0])
    stages.push(decision.detail().candidates[0]?.model?.stage)
  }
  expect([...new Set(stages)]).toEqual([0, 1, 2])
  expect(story.state(0)).toBe('healthy')
})

test('a path that is well for probes and bad for payload goes back from its first canary, for twice as long each time', () => {
  const story = new Story(paths(2), { probeIdleMs: 60_000 })
  story.prove(0).prove(1)
  const holdsUs: number[] = []
  for (let i = 0; i < 3; i++) story.observe(0, { outcome: 'transport' })
  for (let round = 0; round < 4; round++) {
    story.probe(120_000, (index) => index === 0)
    if (story.state(0) !== 'restored') break
    story.transfer([0], 30)
    const last = story.transitions.findLast((each) => each.path === 0 && each.to === 'quarantined')!
    expect(last.cause).toBe('canary')
    holdsUs.push(last.figures['holdUs']!)
  }
  expect(holdsUs.length).toBeGreaterThanOrEqual(2)
  for (let i = 1; i < holdsUs.length; i++) expect(holdsUs[i]).toBeGreaterThanOrEqual(holdsUs[i - 1]!)
  expect(holdsUs.at(-1)).toBeGreaterThan(holdsUs[0]!)
})

test('a hung transfer is probed at once; silence quarantines the path, an answer writes the transfer off', () => {
  for (const answers of [true, false]) {
    const story = new Story(paths(2))
    story.prove(0).prove(1)
    const hung = story.decide([0])
    expect(hung.verdict).toBe('admitted')
    story.probe(1500, () => answers)
    expect(story.state(0) === 'quarantined').toBe(!answers)
    if (answers) expect(story.decide([0], { mayQueue: true }).verdict).toBe('admitted')
    expect(story.policy.release(hung.leaseId, story.nowUs)).toBe(true)
  }
})

test('a path that loses one transfer in ten stays in service', () => {
  const story = new Story(paths(2))
  story.prove(0).prove(1)
  for (let i = 1; i <= 200; i++) {
    story.nowUs += 100_000
    story.observe(0, i % 10 === 0 ? { outcome: 'timeout', totalUs: 400_000 } : {})
    story.tick()
    expect(['quarantined', 'quarantine_candidate']).not.toContain(story.state(0))
  }
})

test('corruption holds for an hour however clean the probes are, and an operator can end it', () => {
  const story = new Story(paths(2))
  story.prove(0).prove(1)
  story.observe(0, { outcome: 'corrupt' })
  story.probe(120_000, () => true)
  expect(story.state(0)).toBe('quarantined')
  story.policy.pin(0, 'restored', 'cable replaced', story.nowUs + 1_000_000, story.nowUs)
  story.pass(2000)
  expect(story.state(0)).toBe('restored')
})

test('without probes a quarantine ends in a canary when its hold is over', () => {
  const story = new Story(paths(2), { ablate: ['probes'] })
  story.prove(0).prove(1)
  for (let i = 0; i < 3; i++) story.observe(0, { outcome: 'transport' })
  story.pass(4000)
  expect(story.state(0)).toBe('restored')
})

test('soft evidence takes no second path of two out of service, unless the guard is switched off', () => {
  for (const ablate of [[], ['do-no-harm']] as const) {
    const story = new Story(paths(2), { ablate: [...ablate] })
    story.prove(0).prove(1)
    for (let i = 0; i < 3; i++) story.observe(0, { outcome: 'transport' })
    story.pass(11_000, () => {
      story.observe(1)
      story.observe(1, { outcome: 'transport' })
    })
    const candidates = story.transitions.filter((each) => each.path === 1 && each.to === 'quarantine_candidate')
    expect(candidates.length > 0).toBe(ablate.length > 0)
    if (ablate.length === 0) expect(story.state(1)).toBe('degraded_restricted')
  }
})

test('a degraded path that nobody takes is cleared by probes that had seen what was wrong', () => {
  const story = new Story(paths(4))
  for (let i = 0; i < 4; i++) story.prove(i)
  story.pass(5000, () => story.observe(0, { totalUs: 200_000 }))
  expect(story.state(0)).toBe('degraded_restricted')
  let broken = true
  story.transitions.length = 0
  const answerProbes = (ms: number) => {
    for (const endUs = story.nowUs + ms * 1000; story.nowUs < endUs; ) {
      story.nowUs += 250_000
      for (const due of story.tick().probesDue)
        story.observe(due.path, { source: 'probe', bytes: due.bytes, totalUs: broken ? 100_000 : idealUs(due.bytes) })
    }
  }
  answerProbes(1500)
  expect(story.state(0)).toBe('degraded_restricted')
  broken = false
  answerProbes(2500)
  expect(story.transitions).toMatchObject([{ to: 'restored', cause: 'probes_clean' }])
})

test('clean probes do not clear what only payload meets', () => {
  const story = new Story(paths(4))
  for (let i = 0; i < 4; i++) story.prove(i)
  story.pass(5000, () => story.observe(0, { totalUs: 200_000 }))
  story.transitions.length = 0
  story.probe(4000, () => true)
  expect(story.transitions).toEqual([])
})

test('a path that loses transfers is not cleared by a row of clean ones', () => {
  const story = new Story(paths(4))
  for (let i = 0; i < 4; i++) story.prove(i)
  story.pass(5000, () => {
    story.observe(0, { totalUs: 100_000 })
    story.observe(0, { outcome: 'transport' })
    story.observe(0, { totalUs: 100_000 })
  })
  expect(story.state(0)).toBe('degraded_restricted')
  story.transitions.length = 0
  for (let i = 0; i < 12; i++) story.observe(0)
  story.pass(250)
  expect(story.transitions).toEqual([])
})

test('tolerant work proves a path that nobody knows, one transfer at a time, though others are free', () => {
  const story = new Story(paths(2)).prove(0)
  const ask = (workload: WorkloadProfile) => story.decide([0, 1], { workload }).path
  story.nowUs += 1_000_000
  expect(ask(WORKLOADS.interactive)).toBe(0)
  expect(ask(WORKLOADS.batch)).toBe(1)
  expect(ask(WORKLOADS.batch)).toBe(0)
})
