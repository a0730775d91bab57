// Reads the JSON lines of ucx-ratios.sh and prints medians of per-run medians, and ours over the native loop's.

import { readFileSync } from 'node:fs'

const median = (numbers) => {
  const sorted = [...numbers].sort((a, b) => a - b)
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2
}
const rows = new Map()
const note = (key, ns) => rows.set(key, [...(rows.get(key) ?? []), median(ns.slice(1))]) // the first round sets up

for (const line of readFileSync(process.argv[2], 'utf8').split('\n')) {
  if (!line.startsWith('{')) continue
  const run = JSON.parse(line)
  const size = `${run.blocks} x ${run.block}`
  if (run.ns !== undefined) {
    note(`${run.tls === 'tcp' ? 'tcp' : 'shm'}|${size}|native ${run.op}`, run.ns)
  } else {
    const where = run.provider.replace('ucx/', '')
    note(`${where}|${size}|ours ${run.mode}`, run.wireNs)
    note(`${where}|${size}|ours ${run.mode}, caller`, run.callerNs)
  }
}
console.log(
  'transport | blocks x bytes | what | median us | best us | GB/s | runs | native put, get over it | the same of the best',
)
for (const [key, medians] of [...rows].sort(([a], [b]) => a.localeCompare(b))) {
  const [where, size, what] = key.split('|')
  const [blocks, , bytes] = size.split(' ')
  const ns = median(medians)
  const peer = rows.get(`${where}|${size}|native ${what.includes('pull') ? 'get' : 'put'}`)
  const best = Math.min(...medians)
  const ours = what.startsWith('ours') && peer !== undefined
  const ratio = ours ? `${(median(peer) / ns).toFixed(2)} | ${(Math.min(...peer) / best).toFixed(2)}` : ' | '
  const rate = ((Number(blocks) * Number(bytes)) / ns).toFixed(2)
  console.log(
    `${where} | ${size} | ${what} | ${(ns / 1e3).toFixed(1)} | ${(best / 1e3).toFixed(1)} | ${rate} | ${medians.length} | ${ratio}`,
  )
}
