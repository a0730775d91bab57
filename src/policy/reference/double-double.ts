// Error terms of one floating-point addition and product: what lets rounding and statistics agree with Python, which
// computes both on exact rationals. Knuth's TwoSum and Dekker's TwoProduct; exact for magnitudes below 2^996.

/** `a + b - fl(a + b)`, exactly, where `sum` is `a + b`. */
export function sumError(a: number, b: number, sum: number): number {
  const bPart = sum - a
  return a - (sum - bPart) + (b - bPart)
}

const SPLITTER = 2 ** 27 + 1

/** `a * b - fl(a * b)`, exactly (barring underflow), where `product` is `a * b`. */
export function productError(a: number, b: number, product: number): number {
  const aSpread = SPLITTER * a
  const aHigh = aSpread - (aSpread - a)
  const aLow = a - aHigh
  const bSpread = SPLITTER * b
  const bHigh = bSpread - (bSpread - b)
  const bLow = b - bHigh
  return aLow * bLow - (product - aHigh * bHigh - aLow * bHigh - aHigh * bLow)
}
