// The table must call a cell lost when it is lost: verdicts on made-up scores, and the whole chain on a small run.

import { describe, expect, it } from 'vitest'
import { type Cell, type EvaluationOptions, evaluate, onTimePercent } from '../../bench/policy/evaluation.js'
import { outcomeTable } from '../../bench/policy/tables.js'
import { verdicts } from '../../bench/policy/verdict.js'
import { SeamError } from '../../src/errors.js'
import { BASELINES, type Contender, OURS, withoutComponents } from '../../src/simulate/contenders.js'
import { PATHS, SESSIONS } from '../../src/simulate/scenario.js'
import type { RunScore } from '../../src/simulate/score.js'
import { generatedTrace } from '../../src/trace/generated.js'
import { run } from './run.js'

const cell: Cell = { fault: 'none', discipline: 'fair', load: 0.4 }
const contender = (name: string, role: Contender['role']): Contender => ({ name, role, create: OURS[0]!.create })
const field = [
  contender('ours', 'ours'),
  contender('weak', 'rival'),
  contender('strong', 'rival'),
  contender('x', 'mark'),
]

const template = run({ create: BASELINES[0]!.create, fault: 'none', requests: 50 })
const scores = (...percents: number[]): RunScore[] =>
  percents.map((percent) => ({ ...template, requests: 1000, onTime: percent * 10 }))

function verdictFor(ours: RunScore[], strong: RunScore[]) {
  const byName = new Map([
    ['ours', ours],
    ['weak', scores(10, 10)],
    ['strong', strong],
    ['x', scores(100, 100)],
  ])
  return verdicts([{ cell, scores: byName }], field, 'ours')[0]!
}

describe('verdicts', () => {
  it('compares with the best rival, whoever else is shown', () => {
    expect(verdictFor(scores(95, 95), scores(90, 92)).bestRival).toBe('strong')
  })

  it('wins ahead of the best rival and within 0.3 points of it, and loses beyond', () => {
    expect(verdictFor(scores(95, 95), scores(94, 94)).won).toBe(true)
    expect(verdictFor(scores(94.8, 94.8), scores(95, 95)).won).toBe(true)
    expect(verdictFor(scores(94.6, 94.6), scores(95, 95)).won).toBe(false)
  })

  it('takes differences by seed: what moved both alike leaves no doubt', () => {
    const { lead } = verdictFor(scores(80, 95), scores(79, 94))
    expect(lead).toEqual({ mean: 1, low: 1, high: 1 })
  })
})

describe('evaluate', () => {
  const options: EvaluationOptions = {
    workload: { trace: generatedTrace({ seed: 3, requests: 400 }), tickMs: 0, requests: 300, bytesPerToken: 327_680 },
    seeds: [1, 2],
    paths: PATHS,
    sessions: SESSIONS,
    nominalFactor: 1,
    patience: 4,
    mayQueue: true,
    calibrate: false,
  }

  it('meets every contender with the same requests, and prints a row for each', () => {
    const contenders = [...OURS, ...BASELINES]
    const results = evaluate(contenders, [cell], options)
    for (const { name } of contenders) {
      const own = results[0]!.scores.get(name)!
      expect(own.map(({ requests }) => requests)).toEqual([300, 300])
      expect(own.map(({ classes }) => classes.map((each) => each.requests))).toEqual(
        results[0]!.scores.get('default')!.map(({ classes }) => classes.map((each) => each.requests)),
      )
    }
    const lines = outcomeTable(results, contenders, verdicts(results, contenders, 'default'))
    for (const { name } of contenders) expect(lines.some((line) => line.includes(name))).toBe(true)
  })

  it('compares predictions with what came when asked, and says null otherwise', () => {
    const [calibrated] = evaluate(OURS, [cell], { ...options, calibrate: true })
    const [plain] = evaluate(OURS, [cell], options)
    expect(calibrated!.scores.get('default')![0]!.predictionFactor).toBeGreaterThanOrEqual(1)
    expect(plain!.scores.get('default')![0]!.predictionFactor).toBeNull()
    expect(calibrated!.scores.get('default')!.map(onTimePercent)).toEqual(
      plain!.scores.get('default')!.map(onTimePercent),
    )
  })
})

it('an ablation names a component that exists', () => {
  expect(withoutComponents(['queue'])[0]!.contender.name).toBe('without queue')
  expect(() => withoutComponents(['luck'])).toThrow(SeamError)
})
