// Sessions: taken by decisions, given back once, expired by the clock, never more than a path can carry.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LeaseBook } from '../../../src/policy/reference/leases.js'
import { createReferencePolicy } from '../../../src/policy/reference/profile.js'
import { path, request } from './streams.js'

test('a released lease cannot be released again and frees one session only', () => {
  const policy = createReferencePolicy()
  policy.addPath(path('a'), 0)
  const first = policy.decide(request([0]), 0).leaseId
  policy.decide(request([0]), 0)
  expect(policy.release(first, 1)).toBe(true)
  expect(policy.release(first, 1)).toBe(false)
  expect(policy.snapshot(0).activeSessions).toBe(1)
})

test('unknown lease ids are ignored and sessions never go below zero', () => {
  const policy = createReferencePolicy()
  policy.addPath(path('a'), 0)
  for (const id of [0, -1, 1, 2.5, Number.NaN, Number.POSITIVE_INFINITY]) expect(policy.release(id, 0)).toBe(false)
  expect(policy.snapshot(0).activeSessions).toBe(0)
})

test('tick ends leases whose time is over, earliest first, and a later release of them is refused', () => {
  const policy = createReferencePolicy()
  policy.addPath(path('a'), 0)
  const take = (leaseUs: number) => policy.decide(request([0], { leaseUs }), 100).leaseId
  const [late, early, same] = [take(50), take(10), take(10)]
  expect(policy.tick(109).expiredLeases).toEqual([])
  expect(policy.tick(110).expiredLeases).toEqual([early, same])
  expect(policy.tick(110).expiredLeases).toEqual([])
  expect(policy.release(early!, 110)).toBe(false)
  expect(policy.snapshot(0).activeSessions).toBe(1)
  expect(policy.tick(1000).expiredLeases).toEqual([late])
})

test('explain takes no session and gives no lease', () => {
  const policy = createReferencePolicy()
  policy.addPath(path('a', { maxSessions: 1 }), 0)
  const explained = policy.explain(request([0]), 0)
  expect(explained).toMatchObject({ verdict: 'admitted', path: 0, leaseId: 0 })
  expect(policy.snapshot(0).activeSessions).toBe(0)
})

test('a full path refuses with its counts until a session comes back', () => {
  const policy = createReferencePolicy()
  policy.addPath(path('a', { maxSessions: 2 }), 0)
  const first = policy.decide(request([0]), 0)
  policy.decide(request([0]), 0)
  const refused = policy.decide(request([0]), 0)
  expect(refused).toMatchObject({ verdict: 'rejected', outcome: 'no_admissible_pool', leaseId: 0 })
  expect(refused.detail().candidates[0]).toMatchObject({
    outcome: 'rejected_capacity',
    reason: 'capacity exhausted (2/2)',
  })
  policy.release(first.leaseId, 0)
  expect(policy.decide(request([0]), 0).verdict).toBe('admitted')
})

type Act =
  | { readonly kind: 'decide'; readonly paths: readonly number[]; readonly leaseUs: number }
  | { readonly kind: 'release'; readonly pick: number }
  | { readonly kind: 'tick'; readonly byUs: number }

const CAPACITIES = [1, 2, 5]

const act: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('decide' as const),
      paths: fc.subarray([0, 1, 2]),
      leaseUs: fc.integer({ min: 1, max: 30 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('release' as const), pick: fc.nat({ max: 40 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('tick' as const), byUs: fc.nat({ max: 20 }) }) },
)

test('whatever is decided, released and expired, sessions are the live leases and never above capacity', () => {
  fc.assert(
    fc.property(fc.array(act, { maxLength: 120 }), (acts) => {
      const policy = createReferencePolicy()
      CAPACITIES.forEach((maxSessions, i) => {
        policy.addPath(path(`p${i}`, { maxSessions }), 0)
      })
      const live = new Map<number, { path: number; expiresUs: number }>()
      const granted: number[] = []
      let nowUs = 0
      for (const each of acts) {
        if (each.kind === 'decide') {
          const decision = policy.decide(request(each.paths, { leaseUs: each.leaseUs }), nowUs)
          if (decision.verdict === 'admitted') {
            expect(live.has(decision.leaseId)).toBe(false)
            expect(granted).not.toContain(decision.leaseId)
            granted.push(decision.leaseId)
            live.set(decision.leaseId, { path: decision.path, expiresUs: nowUs + each.leaseUs })
          }
        } else if (each.kind === 'release') {
          const id = granted[each.pick] ?? 0
          expect(policy.release(id, nowUs)).toBe(live.delete(id))
        } else {
          nowUs += each.byUs
          const due = [...live].filter(([, lease]) => lease.expiresUs <= nowUs)
          due.sort(([idA, a], [idB, b]) => a.expiresUs - b.expiresUs || idA - idB)
          expect(policy.tick(nowUs).expiredLeases).toEqual(due.map(([id]) => id))
          for (const [id] of due) live.delete(id)
        }
        CAPACITIES.forEach((maxSessions, index) => {
          const { activeSessions } = policy.snapshot(index)
          expect(activeSessions).toBe([...live.values()].filter((lease) => lease.path === index).length)
          expect(activeSessions).toBeLessThanOrEqual(maxSessions)
        })
      }
    }),
    { numRuns: 200 },
  )
})

test('expiring one of a hundred thousand leases does not look at the others', () => {
  const book = new LeaseBook()
  book.addPath()
  const count = 100_000
  for (let i = 0; i < count; i++) book.take(0, 1000 + i)
  const start = performance.now()
  let expired = 0
  for (let i = 0; i < count; i++) expired += book.expire(1000 + i).length
  // A scan would look at 5e9 leases.
  expect(performance.now() - start).toBeLessThan(2000)
  expect(expired).toBe(count)
  expect(book.active[0]).toBe(0)
})
