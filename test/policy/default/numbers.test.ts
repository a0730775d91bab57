// The integers underneath: logarithms, halvings, histograms, decaying sums.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Decaying } from '../../../src/policy/default/decaying.js'
import { clampSlowdown, halved, log2Of, MOST_SLOWDOWN, ONE } from '../../../src/policy/default/fixed-point.js'
import { Newest } from '../../../src/policy/default/newest.js'
import { SlowdownWindow } from '../../../src/policy/default/slowdown-window.js'

test('log2Of is within 1/128 of the logarithm and never falls', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 31 - 2 }), (x) => {
      expect(Math.abs(log2Of(x) / 256 - Math.log2(x / 1024))).toBeLessThan(1 / 128)
      expect(log2Of(x + 1)).toBeGreaterThanOrEqual(log2Of(x))
    }),
  )
})

test('halved is within 1.1 % of 2^(-t/h), 1 at the start and 0 in the end', () => {
  for (let t = 0; t < 30_000; t += 7) expect(Math.abs(halved(t, 1000) / 2 ** (-t / 1000) - 1)).toBeLessThan(0.011)
  expect(halved(-5, 1000)).toBe(1)
  expect(halved(1e15, 1000)).toBe(0)
})

test('a decaying sum of a steady rate settles near rate x half-life / ln 2, however often it is read', () => {
  const sum = new Decaying()
  for (let s = 1; s <= 200; s++) {
    sum.add(10, s * 1_000_000, 5_000_000)
    for (let i = 0; i < 50; i++) sum.at(s * 1_000_000 + i * 20_000, 5_000_000)
  }
  expect(sum.at(200_000_000, 5_000_000) / ((10 * 5) / Math.LN2)).toBeCloseTo(1, 0)
})

const slowdowns = fc.array(fc.integer({ min: 512, max: MOST_SLOWDOWN }), { minLength: 100, maxLength: 300 })

test('quantiles of 100 samples and more are within a bucket of the exact ones', () => {
  fc.assert(
    fc.property(slowdowns, (values) => {
      const window = new SlowdownWindow()
      window.advance(1, 10_000_000)
      for (const value of values) window.succeed(value)
      const sorted = values.toSorted((a, b) => a - b)
      const exact = (q: number) => sorted[Math.ceil(sorted.length * q) - 1]!
      const { n, s50, s90, s99 } = window.quantiles()
      expect(n).toBe(values.length)
      for (const [got, q] of [
        [s50, 0.5],
        [s90, 0.9],
        [s99, 0.99],
      ] as const)
        expect(Math.abs(got / exact(q) - 1)).toBeLessThan(0.04)
    }),
  )
})

test('the window forgets what is older than its span, and only that', () => {
  const window = new SlowdownWindow()
  window.advance(0, 8_000_000)
  window.succeed(ONE)
  window.fail(null)
  window.advance(7_999_999, 8_000_000)
  expect([window.ok, window.failed, window.quantiles().n]).toEqual([1, 1, 1])
  window.advance(8_000_000, 8_000_000)
  expect([window.ok, window.failed, window.quantiles().n, window.empty]).toEqual([0, 0, 0, true])
})

test('counts stay exact and memory stays bounded when a window is flooded', () => {
  const window = new SlowdownWindow()
  window.advance(0, 8_000_000)
  for (let i = 0; i < 100_000; i++) window.succeed(ONE)
  expect(window.ok).toBe(100_000)
  expect(window.quantiles().n).toBe(4096)
  for (let sub = 1; sub < 8; sub++) {
    window.advance(sub * 1_000_000, 8_000_000)
    for (let i = 0; i < 5000; i++) window.succeed(2 * ONE)
  }
  expect(window.quantiles().n).toBe(8 * 4096)
  window.advance(100_000_000, 8_000_000)
  expect(window.empty).toBe(true)
})

test('whatever is added and however time passes, counts equal those of a plain list', () => {
  const act = fc.record({
    byUs: fc.nat({ max: 3_000_000 }),
    ok: fc.boolean(),
    slowdown: fc.integer({ min: 512, max: MOST_SLOWDOWN }),
  })
  fc.assert(
    fc.property(fc.array(act, { maxLength: 60 }), (acts) => {
      const window = new SlowdownWindow()
      const kept: { sub: number; ok: boolean }[] = []
      let nowUs = 0
      for (const { byUs, ok, slowdown } of acts) {
        nowUs += byUs
        window.advance(nowUs, 8_000_000)
        if (ok) window.succeed(slowdown)
        else window.fail(null)
        const sub = Math.floor(nowUs / 1_000_000)
        kept.push({ sub, ok })
        const live = kept.filter((each) => each.sub > sub - 8)
        expect([window.ok, window.failed]).toEqual([
          live.filter((each) => each.ok).length,
          live.filter((each) => !each.ok).length,
        ])
      }
    }),
  )
})

test('the newest median is the lower middle of the last nine', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 512, max: MOST_SLOWDOWN }), { minLength: 1, maxLength: 40 }), (values) => {
      const newest = new Newest()
      for (const value of values) newest.add(value)
      const last = values.slice(-9).toSorted((a, b) => a - b)
      expect(newest.median()).toBe(last[(last.length - 1) >> 1])
    }),
  )
})

test('slowdowns are clamped to what a bucket can hold', () => {
  expect(clampSlowdown(0)).toBe(512)
  expect(clampSlowdown(1e9)).toBe(MOST_SLOWDOWN)
  expect(clampSlowdown(1)).toBe(ONE)
})
