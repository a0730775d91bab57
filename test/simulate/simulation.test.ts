// A run must repeat byte for byte, obey its ground truth, treat every policy alike, and end.

import { describe, expect, it } from 'vitest'
import { SeamError } from '../../src/errors.js'
import type { Policy, PolicyRequest, Sample } from '../../src/policy/policy.js'
import { LeastBytes } from '../../src/simulate/baselines/least-bytes.js'
import { RoundRobin } from '../../src/simulate/baselines/round-robin.js'
import { BASELINES } from '../../src/simulate/contenders.js'
import type { ScenarioFault } from '../../src/simulate/scenario.js'
import type { RunScore } from '../../src/simulate/score.js'
import { simulate } from '../../src/simulate/simulation.js'
import { type RunRequest, run } from './run.js'

const go = (policy: Policy, fault: ScenarioFault, more: Partial<RunRequest> = {}) => run({ policy, fault, ...more })
const onTime = ({ onTime, requests }: RunScore) => onTime / requests

describe('a run', () => {
  it.each(BASELINES.map(({ name }) => name))('repeats byte for byte with the same seed under %s', (name) => {
    const contender = BASELINES.find((each) => each.name === name)!
    const once = () => run({ create: contender.create, fault: 'flap', requests: 600 })
    expect(once()).toEqual(once())
  })

  it('differs with another seed', () => {
    expect(go(new RoundRobin(), 'none', { seed: 2 }).digest).not.toBe(go(new RoundRobin(), 'none', { seed: 1 }).digest)
  })

  it('is the same run on every machine and version of Node', () => {
    // Worked out on Node 20, 22 and 24.
    expect(go(new RoundRobin(), 'flap').digest).toBe(1044196481)
    expect(go(new LeastBytes(), 'cross', { discipline: 'mixed' }).digest).toBe(530035334)
  })

  it('accounts for every request once: on time, late, rejected or failed', () => {
    const { requests, onTime: punctual, failed, rejected, classes } = go(new RoundRobin(), 'stall')
    expect(classes.reduce((sum, each) => sum + each.requests, 0)).toBe(requests)
    expect(classes.reduce((sum, each) => sum + each.onTime, 0)).toBe(punctual)
    expect(punctual + failed + rejected).toBeLessThanOrEqual(requests)
    expect(failed).toBeGreaterThan(0)
  })
})

describe('ground truth', () => {
  const sound = go(new RoundRobin(), 'none')

  it('a sound system serves everybody and wastes nothing', () => {
    expect(onTime(sound)).toBeGreaterThan(0.97)
    expect(sound).toMatchObject({ failed: 0, rejected: 0, worstPathLosses: 0 })
    expect(sound.wastedShare).toBeLessThan(0.01)
  })

  it('a slow path makes the requests on it late, the slower the worse', () => {
    const late = (['slow50', 'slow20', 'slow5'] as const).map((fault) => onTime(go(new RoundRobin(), fault)))
    expect(late[0]!).toBeLessThan(onTime(sound))
    expect(late[1]!).toBeLessThan(late[0]!)
    expect(late[2]!).toBeLessThan(late[1]!)
  })

  it('a stall loses about a tenth of what meets it, and gives it up', () => {
    // One path in eight for 40 % of the time.
    const met = sound.requests * 0.4 * (1 / 8)
    const { failed, worstPathLosses } = go(new RoundRobin(), 'stall')
    expect(worstPathLosses).toBeGreaterThan(met * 0.1 * 0.4)
    expect(worstPathLosses).toBeLessThan(met * 0.1 * 2)
    expect(failed).toBe(worstPathLosses)
  })

  it('a black hole refuses all that meets it, and others serve it at the second attempt', () => {
    const { failed, worstPathLosses } = go(new RoundRobin(), 'blackhole')
    expect(worstPathLosses).toBeGreaterThan(sound.requests * 0.4 * (1 / 8) * 0.7)
    expect(failed).toBe(0)
  })

  it('a flap refuses about half of what a black hole does', () => {
    const hole = go(new RoundRobin(), 'blackhole').worstPathLosses
    const flap = go(new RoundRobin(), 'flap').worstPathLosses
    expect(flap).toBeGreaterThan(hole * 0.25)
    expect(flap).toBeLessThan(hole * 0.85)
  })

  it('a rail takes twice what one slow path does', () => {
    const lost = (fault: ScenarioFault) => onTime(sound) - onTime(go(new RoundRobin(), fault))
    expect(lost('rail')).toBeGreaterThan(lost('slow20') * 1.5)
  })

  it('corruption is found out and the bytes are counted as wasted', () => {
    const { wastedShare, failed } = go(new RoundRobin(), 'corrupt')
    expect(wastedShare).toBeGreaterThan(sound.wastedShare)
    expect(failed).toBe(0)
  })

  it('a masked path slows payload and lets probes pass', () => {
    const probed: number[] = []
    class Prober extends RoundRobin {
      #dueUs = 0
      override nextTickUs() {
        return this.#dueUs
      }
      override tick(nowUs: number) {
        this.#dueUs = nowUs + 500_000
        const probesDue = Array.from({ length: 8 }, (_, path) => ({
          path,
          bytes: 4_194_304,
          timeoutUs: 400_000,
          reason: 'idle' as const,
        }))
        return { ...super.tick(nowUs), probesDue }
      }
      override observe(sample: Sample, nowUs: number) {
        if (sample.source === 'probe') probed.push(sample.totalUs)
        return super.observe(sample, nowUs)
      }
    }
    const masked = go(new Prober(), 'masked', { load: 0.05, requests: 300 })
    const clean = go(new Prober(), 'none', { load: 0.05, requests: 300 })
    expect(masked.onTime).toBeLessThan(clean.onTime)
    expect(masked.probes).toBeGreaterThan(100)
    expect(masked.probeShare).toBeGreaterThan(0)
    const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1]!
    expect(median(probed)).toBeLessThan(1.2 * (200 + 4_194_304 / 12_500))
  })

  it('a path that comes late is used from then on', () => {
    const uses: number[] = []
    class Counting extends RoundRobin {
      override decide(request: PolicyRequest, nowUs: number) {
        uses.push(request.candidates.length)
        return super.decide(request, nowUs)
      }
    }
    go(new Counting(), 'cold')
    expect(uses[0]).toBe(7)
    expect(uses.at(-1)).toBe(8)
  })

  it('late starts make small requests late', () => {
    expect(onTime(go(new RoundRobin(), 'spikes'))).toBeLessThan(onTime(sound))
  })

  it('a delay makes every request of its path late that has less time than that', () => {
    expect(onTime(go(new RoundRobin(), 'delay50'))).toBeLessThan(onTime(sound))
    expect(onTime(go(new RoundRobin(), 'delay250'))).toBeLessThan(onTime(go(new RoundRobin(), 'delay50')))
  })

  it('a path that is not measured serves as well as any', () => {
    expect(go(new RoundRobin(), 'deaf').onTime).toBe(sound.onTime)
  })
})

describe('the rules that hold for every policy', () => {
  it('gives up earlier with less patience', () => {
    const patient = go(new RoundRobin(), 'slow5', { patience: 8 })
    const hasty = go(new RoundRobin(), 'slow5', { patience: 1 })
    expect(hasty.failed).toBeGreaterThan(patient.failed)
  })

  it('offers a failed request the paths it has not failed on', () => {
    const seen: { attempt: number; candidates: readonly number[] }[] = []
    class Watched extends LeastBytes {
      override decide(request: PolicyRequest, nowUs: number) {
        seen.push({ attempt: request.attempt, candidates: request.candidates })
        return super.decide(request, nowUs)
      }
    }
    go(new Watched(), 'blackhole')
    const again = seen.filter(({ attempt }) => attempt === 1)
    expect(again.length).toBeGreaterThan(0)
    for (const { candidates } of again) expect(candidates).toHaveLength(7)
    expect(Math.max(...seen.map(({ attempt }) => attempt))).toBeLessThanOrEqual(2)
  })

  it('counts a rejected request as late', () => {
    class Refuser extends RoundRobin {
      override decide(_request: PolicyRequest, nowUs: number) {
        return super.decide({ ..._request, candidates: [] }, nowUs)
      }
    }
    expect(go(new Refuser(), 'none')).toMatchObject({ onTime: 0, rejected: 2000, rejections: { rejected: 2000 } })
  })

  it('stops with a message, and does not hang, when a policy would hold a request for ever', () => {
    class Hoarder extends RoundRobin {
      override decide(request: PolicyRequest, nowUs: number) {
        return { ...super.decide(request, nowUs), verdict: 'queued' as const, ticket: request.seq + 1 }
      }
    }
    expect(() => go(new Hoarder(), 'none')).toThrow(/wait for ever/)
  })

  it('stops with a message when a policy asks for the same tick again and again', () => {
    class Stuck extends RoundRobin {
      override nextTickUs() {
        return 0
      }
    }
    expect(() => go(new Stuck(), 'none')).toThrow(SeamError)
  })
})

it('does not read its faults from anywhere but the truth it is given', () => {
  // The same run with no fault list is a sound run, whatever the fault's name was.
  const { demand } = run.parts({ fault: 'none' })
  const base = { demand, discipline: 'fair' as const, seed: 1, nominalFactor: 1 }
  const none = simulate({ ...base, policy: new RoundRobin(), faults: [] })
  const later = simulate({
    ...base,
    policy: new RoundRobin(),
    faults: [{ kind: 'blackhole', paths: [0], fromUs: 1e12, toUs: 2e12 }],
  })
  expect(later.digest).toBe(none.digest)
})
