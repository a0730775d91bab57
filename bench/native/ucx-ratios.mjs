// Reads the JSON lines of ucx-ratios.sh and prints medians of per-run medians, ours beside the native loop's, and the targets.

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
    const what = `native ${run.op}${run.pauseUs > 0 ? ', pausing' : ''}`
    note(`${run.tls === 'tcp' ? 'tcp' : 'shm'}|${size}|${what}`, run.ns)
  } else {
    const what = `ours ${run.mode}${run.busy ? ', JavaScript busy' : ''}`
    const where = run.provider.replace('ucx/', '')
    note(`${where}|${size}|${what}`, run.wireNs)
    note(`${where}|${size}|${what}, caller`, run.callerNs)
  }
}
const us = (ns) => (ns / 1e3).toFixed(1)
console.log('transport | blocks x bytes | what | median us | best us | GB/s | runs')
for (const [key, medians] of [...rows].sort(([a], [b]) => a.localeCompare(b))) {
  const [where, size, what] = key.split('|')
  const [blocks, , bytes] = size.split(' ')
  const ns = median(medians)
  const rate = ((Number(blocks) * Number(bytes)) / ns).toFixed(2)
  console.log(`${where} | ${size} | ${what} | ${us(ns)} | ${us(Math.min(...medians))} | ${rate} | ${medians.length}`)
}

const best = (runs) => Math.min(...runs)
console.log('\nfigure | of the medians | of the best turns | target | ')
function row(figure, a, b, form, target, reached) {
  if (a === undefined || b === undefined) return
  const middle = form(median(a), median(b))
  const text = (value) => (target.includes('us') ? `${us(value)} us` : value.toFixed(2))
  const verdict = reached(middle)
  const word = verdict === null ? '' : verdict ? 'reached' : 'missed'
  console.log(`${figure} | ${text(middle)} | ${text(form(best(a), best(b)))} | ${target} | ${word}`)
}
const over = (a, b) => a / b
const more = (a, b) => b - a
for (const where of ['tcp', 'shm']) {
  for (const [mode, op] of [
    ['push', 'put'],
    ['pull', 'get'],
  ]) {
    const at = (size, what) => rows.get(`${where}|${size}|${what}`)
    const pair = (size) => [at(size, `native ${op}`), at(size, `ours ${mode}`)]
    const who = `${where} ${mode}`
    row(
      `${who}, 128 MiB as 4,096 x 32 KiB, native over ours`,
      ...pair('4096 x 32768'),
      over,
      '>= 0.98',
      (x) => x >= 0.98,
    )
    row(`${who}, 2 MiB as 64 x 32 KiB, native over ours`, ...pair('64 x 32768'), over, '>= 0.95', (x) => x >= 0.95)
    row(
      `${who}, 128 MiB as 32,768 x 4 KiB, native over ours`,
      ...pair('32768 x 4096'),
      over,
      '>= 0.90',
      (x) => x >= 0.9,
    )
    const list = pair('40960 x 4096').reverse()
    row(`${who}, a list of 40,960 x 4 KiB, ours over native`, ...list, over, '<= 1.05', (x) => x <= 1.05)
    const one = at('1 x 4096', `native ${op}`)
    const caller = at('1 x 4096', `ours ${mode}, caller`)
    row(`${who}, one 4 KiB seen by JavaScript less native`, one, caller, more, '<= 8 us', (x) => x <= 8000)
    const idle = at('1 x 4096', `ours ${mode}`)
    const busy = at('1 x 4096', `ours ${mode}, JavaScript busy`)
    row(`${who}, one 4 KiB on the wire, JavaScript busy over idle`, busy, idle, over, '<= 1.2', (x) => x <= 1.2)
    // A machine that does something else for 2 ms is slower afterwards, whoever asks: caches are cold, CPUs asleep.
    const paused = at('1 x 4096', `native ${op}, pausing`)
    row(
      `${who}, one 4 KiB, the native loop with such pauses over without`,
      paused,
      one,
      over,
      'for comparison',
      () => null,
    )
    row(
      `${who}, one 4 KiB on the wire, JavaScript busy, over the pausing loop`,
      busy,
      paused,
      over,
      'for comparison',
      () => null,
    )
  }
}
