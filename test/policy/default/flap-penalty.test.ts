// The flap penalty: time alone never forgives, clean evidence does.

import { expect, test } from 'vitest'
import { FlapPenalty } from '../../../src/policy/default/flap-penalty.js'
import { DEFAULT_SETTINGS } from '../../../src/policy/settings.js'

const S = 1_000_000

test('the penalty stays as it is while nobody has seen the path work', () => {
  const penalty = new FlapPenalty()
  for (let i = 0; i < 4; i++) penalty.add(1000, 0, DEFAULT_SETTINGS)
  expect(penalty.value(3600 * S, DEFAULT_SETTINGS)).toBe(4000)
})

test('with clean evidence all the time it halves in its half-life', () => {
  const penalty = new FlapPenalty()
  penalty.add(4000, 0, DEFAULT_SETTINGS)
  for (let s = 0; s <= 60; s++) penalty.clean(s * S, DEFAULT_SETTINGS)
  const half = penalty.value(60 * S, DEFAULT_SETTINGS)
  expect(half).toBeGreaterThan(1950)
  expect(half).toBeLessThan(2100)
  for (let s = 61; s <= 180; s++) penalty.clean(s * S, DEFAULT_SETTINGS)
  expect(penalty.value(180 * S, DEFAULT_SETTINGS)).toBeLessThan(750)
})

test('one clean observation forgives a quarter half-life at most', () => {
  const penalty = new FlapPenalty()
  penalty.add(4000, 0, DEFAULT_SETTINGS)
  penalty.clean(0, DEFAULT_SETTINGS)
  const after = penalty.value(3600 * S, DEFAULT_SETTINGS)
  expect(after).toBeGreaterThan(4000 * 0.84 - 60)
  expect(after).toBeLessThan(4000 * 0.86)
})

test('reading it often does not change how it decays', () => {
  const [often, seldom] = [new FlapPenalty(), new FlapPenalty()]
  for (const each of [often, seldom]) {
    each.add(5000, 0, DEFAULT_SETTINGS)
    for (let s = 0; s < 50; s++) {
      each.clean(s * S, DEFAULT_SETTINGS)
      if (each === often) for (let ms = 0; ms < 1000; ms += 7) each.value(s * S + ms * 1000, DEFAULT_SETTINGS)
    }
  }
  expect(Math.abs(often.value(50 * S, DEFAULT_SETTINGS) - seldom.value(50 * S, DEFAULT_SETTINGS))).toBeLessThan(60)
})
