// The invariant of the whole design: no byte moves without a decision. Every public call is tried, and every way to forge,
// reuse or stretch a permit; posts must equal admitted decisions whatever happens.

import { describe, expect, it } from 'vitest'
import type { Admitted } from '../src/decision.js'
import * as publicFace from '../src/index.js'
import { binding, OPERATION } from '../src/native/binding.js'
import { Permit, permitNumber } from '../src/permit.js'
import { admit, DECODE, eventually, openFor, openPair, type Pair, PREFILL, post } from './native/pair.js'
import { refusalOf } from './native/refusal.js'

const BYTES = 4096

async function openGated() {
  const pair = await openPair({ permitTtlMs: 20_000, bytes: BYTES })
  const from = pair.kv.range(0, BYTES)
  const to = pair.slots.range(0, BYTES)
  return { ...pair, from, to }
}

const posted = ({ prefill, decode }: Pair): number => prefill.counters.posted + decode.counters.posted

/** Nothing was posted by what happened between, no permit was used, and the destination is as it was. */
async function expectNothingPosted(
  gated: Awaited<ReturnType<typeof openGated>>,
  attempt: () => Promise<void>,
): Promise<void> {
  const before = { posts: posted(gated), used: gated.seam.policy.counters.permits.redeemed, bytes: gated.slots.read() }
  await attempt()
  expect(posted(gated)).toBe(before.posts)
  expect(gated.seam.policy.counters.permits.redeemed).toBe(before.used)
  expect(gated.slots.read()).toEqual(before.bytes)
}

describe('a transfer is refused, and nothing is posted,', () => {
  const forged: [string, (decision: Admitted) => unknown][] = [
    ['an object of the right shape', ({ permit }) => ({ ...permit })],
    ['a permit made by hand', ({ path }) => new Permit(path, Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)],
    [
      'an object with the prototype of a permit',
      ({ permit }) => Object.assign(Object.create(Permit.prototype), permit),
    ],
    ['a proxy of a real permit', ({ permit }) => new Proxy(permit, {})],
    ['a number', ({ permit }) => permitNumber(permit)],
    ['nothing', () => undefined],
    ['null', () => null],
  ]
  it.each(forged)('with %s in place of the permit', async (_, forge) => {
    const gated = await openGated()
    const decision = admit(gated.seam, { bytes: BYTES })
    await expectNothingPosted(gated, async () => {
      const fake = { ...decision, outcome: 'admitted', permit: forge(decision) } as Admitted
      const error = await refusalOf(async () => await gated.seam.transfer(fake, gated))
      expect(error.code).toBe('KVSEAM_PERMIT_INVALID')
      expect(error.message).toContain('decide again')
      // And natively, behind the check of TypeScript.
      const native = await refusalOf(() => post(fake, gated.from, gated.to))
      expect(native.code).toBe('KVSEAM_PERMIT_INVALID')
    })
    // The real one is as good as before.
    await gated.seam.transfer(decision, gated)
  })

  it('with a decision that was used before; the first transfer keeps its session', async () => {
    const gated = await openGated()
    const faults = gated.seam.faults.arm('*.read=pause')
    const decision = admit(gated.seam, { bytes: BYTES })
    const first = gated.seam.transfer(decision, gated)
    await faults.whenPaused()
    await expectNothingPosted(gated, async () => {
      const error = await refusalOf(async () => await gated.seam.transfer(decision, gated))
      expect(error.code).toBe('KVSEAM_PERMIT_INVALID')
      expect(error.message).toContain('used before')
      expect(await refusalOf(() => post(decision, gated.from, gated.to))).toMatchObject({
        code: 'KVSEAM_PERMIT_INVALID',
      })
    })
    expect(decision.path.health.activeSessions).toBe(1)
    faults.resume()
    await first
  })

  it('with a permit that has expired', async () => {
    const pair = await openPair({ permitTtlMs: 1, bytes: BYTES })
    const gated = { ...pair, from: pair.kv.range(0, BYTES), to: pair.slots.range(0, BYTES) }
    const decision = admit(gated.seam, { bytes: BYTES })
    await new Promise((resolve) => setTimeout(resolve, 20))
    await expectNothingPosted(gated, async () => {
      const error = await refusalOf(async () => await gated.seam.transfer(decision, { ...gated, verify: 'off' }))
      expect(error.code).toBe('KVSEAM_PERMIT_INVALID')
      expect(error.message).toContain('expired')
    })
    expect(gated.seam.policy.counters.permits).toMatchObject({ expired: 1, outstanding: 0 })
    expect(decision.path.health.activeSessions).toBe(0)
  })

  it('with a permit that was revoked', async () => {
    const gated = await openGated()
    const decision = admit(gated.seam, { bytes: BYTES })
    gated.seam.policy.abandon(decision)
    await expectNothingPosted(gated, async () => {
      expect(await refusalOf(async () => await gated.seam.transfer(decision, gated))).toMatchObject({
        code: 'KVSEAM_PERMIT_INVALID',
      })
    })
    expect(decision.path.health.activeSessions).toBe(0)
  })

  it('over another path than the admitted one', async () => {
    const gated = await openGated()
    const decision = admit(gated.seam, { bytes: BYTES })
    const other = gated.seam.paths.between(PREFILL, DECODE).find((path) => path !== decision.path)!
    await expectNothingPosted(gated, async () => {
      const error = await refusalOf(
        async () =>
          await gated.seam.transfer(
            { ...decision, outcome: 'admitted', permit: decision.permit, path: other } as Admitted,
            gated,
          ),
      )
      expect(error).toMatchObject({ code: 'KVSEAM_PERMIT_INVALID' })
      expect(error.message).toContain('another path')
    })
  })

  it('of more bytes than were admitted', async () => {
    const gated = await openGated()
    const decision = admit(gated.seam, { bytes: BYTES - 1 })
    await expectNothingPosted(gated, async () => {
      const error = await refusalOf(async () => await gated.seam.transfer(decision, gated))
      expect(error.code).toBe('KVSEAM_PERMIT_INVALID')
      expect(error.message).toContain(`covers ${BYTES - 1} bytes and the transfer has ${BYTES}`)
    })
  })

  it('in the other direction', async () => {
    const gated = await openGated()
    const decision = admit(gated.seam, { bytes: BYTES })
    await expectNothingPosted(gated, async () => {
      const swapped = await refusalOf(
        async () => await gated.seam.transfer(decision, { from: gated.to, to: gated.from }),
      )
      expect(swapped.code).toBe('KVSEAM_FOREIGN_REGION')
      // The permit covers a read; the same blocks written instead are another act.
      const again = admit(gated.seam, { bytes: BYTES })
      const written = await refusalOf(() =>
        again.path.agent.post({
          permit: permitNumber(again.permit),
          path: again.path.nativeIndex,
          operation: OPERATION.write,
          local: gated.to,
          remote: gated.from,
          timeoutMs: 1000,
        }),
      )
      expect(written.message).toContain('does not cover a write')
    })
  })

  it('after a new epoch of the policy', async () => {
    const gated = await openGated()
    const decision = admit(gated.seam, { bytes: BYTES })
    // The gate's number is the seam's secret; a new seam's is the next one, so this one is found by its permits.
    const gate = gateOf(gated.seam.policy.counters.permits.minted)
    binding().advanceEpoch(gate)
    await expectNothingPosted(gated, async () => {
      const error = await refusalOf(async () => await gated.seam.transfer(decision, gated))
      expect(error).toMatchObject({ code: 'KVSEAM_PERMIT_INVALID' })
      expect(error.message).toContain('earlier epoch')
    })
  })

  it('with the permit of another seam, also when that seam is closed', async () => {
    const gated = await openGated()
    const other = await openGated()
    const foreign = admit(other.seam, { bytes: BYTES })
    const own = admit(gated.seam, { bytes: BYTES })
    await expectNothingPosted(gated, async () => {
      const mixed = { ...own, outcome: 'admitted', path: own.path, permit: foreign.permit } as Admitted
      expect(await refusalOf(async () => await gated.seam.transfer(mixed, gated))).toMatchObject({
        code: 'KVSEAM_PERMIT_INVALID',
      })
      await other.seam.close()
      const late = { ...own, outcome: 'admitted', path: own.path, permit: admitAgain(gated) } as Admitted
      await gated.seam.close()
      expect(await refusalOf(async () => await gated.seam.transfer(late, gated))).toMatchObject({
        code: 'KVSEAM_CLOSED',
      })
    }).catch((error: { code?: string }) => {
      // The counters of a closed seam can't be read any more; what had to be refused was refused above.
      if (error.code !== 'KVSEAM_CLOSED') throw error
    })
  })

  it.each([undefined, null, 5, 'admitted', {}, { outcome: 'admitted' }, { outcome: 'rejected', record: {} }])(
    'with the decision %j',
    async (decision) => {
      const gated = await openGated()
      await expectNothingPosted(gated, async () => {
        const error = await refusalOf(async () => await gated.seam.transfer(decision as never, gated))
        expect(error.code).toBe('KVSEAM_INVALID_ARGUMENT')
        expect(error.message).toMatch(/decision/)
      })
    },
  )
})

function admitAgain(pair: Pair): Permit {
  return admit(pair.seam, { bytes: BYTES }).permit
}

/** The open gate in which exactly `minted` permits were made and one is outstanding. */
function gateOf(minted: number): number {
  for (let generation = 1; generation < 400; generation++) {
    for (let index = 0; index < 64; index++) {
      const gate = generation * 2 ** 20 + index
      try {
        const counters = binding().gateCounters(gate)
        if (counters.minted === minted && counters.outstanding === 1) return gate
      } catch {
        // Not open.
      }
    }
  }
  throw new Error('no such gate')
}

describe('the public face', () => {
  /** Methods of an object and of its classes, accessors left out. */
  function methodsOf(object: object): [string | symbol, (...args: unknown[]) => unknown][] {
    const found = new Map<string | symbol, (...args: unknown[]) => unknown>()
    for (let at = object; at !== Object.prototype && at !== null; at = Object.getPrototypeOf(at)) {
      for (const [key, { value }] of Object.entries(Object.getOwnPropertyDescriptors(at))) {
        if (typeof value === 'function' && key !== 'constructor') found.set(key, value)
      }
    }
    return [...found]
  }
  /** Ends what the walk stands on. */
  const ENDING = new Set(['close', 'quiet', 'disarm'])

  it('has no call that moves bytes without an admitted decision', async () => {
    const gated = await openGated()
    const { seam, prefill, decode, kv, slots, from, to } = gated
    const other = await openFor()
    const outside = await other.agent('outside-0')
    outside.allocate(BYTES, { name: 'pool' })
    const peer = await seam.connect(prefill, outside.metadata())
    const decision = admit(seam, { bytes: BYTES })
    const path = decision.path
    seam.policy.abandon(decision)
    const transfer = post(admit(seam, { bytes: BYTES }), from, to)
    await transfer.quiesced
    slots.view().fill(0)

    const objects: Record<string, object> = {
      seam,
      policy: seam.policy,
      paths: seam.paths,
      faults: seam.faults,
      prefill,
      decode,
      kv,
      slots,
      remote: peer.region('pool'),
      peer,
      from,
      to,
      path,
      permit: decision.permit,
      transfer,
      latency: path.latency(),
    }
    const used = new Permit(path, BYTES, Number.MAX_SAFE_INTEGER)
    const request = { from, to, local: to, remote: from, timeoutMs: 1000, path: path.nativeIndex, operation: 1 }
    const pool: unknown[] = [
      undefined,
      decision,
      { ...decision, path, outcome: 'admitted', permit: used, lease: 1 },
      { ...request, permit: 0 },
      { ...request, permit: 123_456_789 },
      used,
      from,
      to,
      kv,
      peer,
      path.id,
      path.nativeIndex,
      0,
      1,
    ]
    const before = { posts: posted(gated), ...seam.policy.counters }
    const slotsBefore = slots.read()
    let calls = 0
    const started: Promise<unknown>[] = []
    const tried = new Set<string>()
    for (const [name, object] of Object.entries(objects)) {
      for (const [key, method] of methodsOf(object)) {
        if (typeof key === 'symbol' || ENDING.has(key)) continue
        tried.add(`${name}.${key}`)
        for (const [i, first] of pool.entries()) {
          // Each value in the first place with three others behind it.
          for (const second of [first, pool[(i + 5) % pool.length], pool[(i + 9) % pool.length]]) {
            calls++
            try {
              const result = method.call(object, first, second, first, second, first, second, first)
              if (result instanceof Promise) started.push(result.catch(() => {}))
            } catch {
              // Refused; with what words is other tests' business.
            }
          }
        }
      }
    }
    // The exported names that can be called, beside openSeam: classes whose constructors are not for the public.
    for (const [name, value] of Object.entries(publicFace)) {
      if (typeof value !== 'function' || name === 'openSeam') continue
      for (const first of pool) {
        calls++
        try {
          Reflect.construct(value, [first, first, first])
        } catch {
          // Refused.
        }
      }
    }
    for (const must of [
      'seam.transfer',
      'seam.handoff',
      'prefill.post',
      'policy.decide',
      'transfer.succeed',
      'prefill.notify',
    ]) {
      expect(tried).toContain(must)
    }
    expect(calls).toBeGreaterThan(3000)
    // A promise of some calls never resolves, e.g. of waiting for a pause of a rule that there is not.
    await Promise.race([Promise.all(started), new Promise((resolve) => setTimeout(resolve, 1000))])
    await eventually('quiet', () => prefill.counters.inFlight + decode.counters.inFlight === 0)
    // Control messages need no permit and carry no region bytes; the walk sends none that a peer would take.
    expect(posted(gated)).toBe(before.posts)
    expect(seam.policy.counters.permits.redeemed).toBe(before.permits.redeemed)
    expect(slots.read()).toEqual(slotsBefore)
  })

  it('posts exactly as often as it admits, over many requests that end in every way', async () => {
    const gated = await openGated()
    const { seam, kv, slots } = gated
    using faults = seam.faults.arm('seed=11;*.read=10%error(timeout)->10%error(remote_disconnect)->5%corrupt(1bit)')
    let admitted = 0
    let failed = 0
    for (let i = 0; i < 300; i++) {
      const decision = seam.policy.decide({
        workload: i % 3 === 0 ? 'interactive' : 'batch',
        bytes: BYTES,
        from: PREFILL,
        to: [DECODE],
      })
      if (decision.outcome !== 'admitted') continue
      if (i % 7 === 0) {
        seam.policy.abandon(decision)
        continue
      }
      admitted++
      await seam.transfer(decision, { from: kv.range(0, BYTES), to: slots.range(0, BYTES) }).catch(() => void failed++)
    }
    expect(faults.report().rules[0]!.fired).toBeGreaterThan(0)
    expect(failed).toBeGreaterThan(10)
    const { permits } = seam.policy.counters
    expect(permits.redeemed).toBe(admitted)
    expect(permits.minted).toBe(permits.redeemed + permits.revoked)
    expect(permits.outstanding).toBe(0)
    // The fault layer ends some before the backend sees them; none can reach it twice.
    expect(posted(gated)).toBe(admitted)
    await eventually('sessions given back', () => [...seam.paths].every((path) => path.health.activeSessions === 0))
  })
})
