// A suggestion must be the name that was meant, and stay away when none is near.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { didYouMean, editDistance, nearestName } from '../src/did-you-mean.js'

describe('editDistance', () => {
  it.each([
    ['', '', 0],
    ['', 'abc', 3],
    ['kitten', 'sitting', 3],
    ['seed', 'sede', 1],
    ['ca', 'abc', 3],
  ])('%j to %j is %i', (a, b, expected) => {
    expect(editDistance(a, b)).toBe(expected)
  })

  it('is the same both ways, 0 only for equal names, and at most the longer length', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 12 }), fc.string({ maxLength: 12 }), (a, b) => {
        const distance = editDistance(a, b)
        expect(editDistance(b, a)).toBe(distance)
        expect(distance === 0).toBe(a === b)
        expect(distance).toBeLessThanOrEqual(Math.max(a.length, b.length))
      }),
    )
  })
})

describe('nearestName', () => {
  const known = ['demo', 'reference', 'rebuild', 'version']
  it.each([
    ['dmeo', 'demo'],
    ['DEMO', 'demo'],
    ['refrence', 'reference'],
    ['vers', 'version'],
    ['re', undefined],
    ['proxy', undefined],
    ['', undefined],
    ['x'.repeat(100_000), undefined],
  ])('of %.20j is %j', (name, expected) => {
    expect(nearestName(name, known)).toBe(expected)
  })

  it('offers nothing when a beginning fits two names', () => {
    expect(nearestName('llama-3.1', ['llama-3.1-8b-x', 'llama-3.1-70b-x'])).toBeUndefined()
  })

  it('writes the question for an error text', () => {
    expect(didYouMean('versoin', known)).toBe(' (did you mean version?)')
    expect(didYouMean('nothing-like-it', known)).toBe('')
  })
})
