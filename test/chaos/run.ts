// npm run chaos -- --seed S --transfers N: random faults on random paths, peers killed and started again, every byte and
// every count looked at. The same seed gives the same faults. Exit code 1 when anything was lost, wrong or leaked.

import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { type ProcessResources, processResources } from '../failures/oracles/process-resources.js'
import { ChaosPeer } from './peer.js'
import { planRound, ROUND_TRANSFERS } from './plan.js'
import { playRound } from './round.js'
import { ChaosTally } from './tally.js'
import { ChaosWorld } from './world.js'

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    transfers: { type: 'string', default: '50000' },
    json: { type: 'boolean', default: false },
  },
})
const seed = wholeNumber('--seed', values.seed, 0)
const transfers = wholeNumber('--transfers', values.transfers, 1)

function wholeNumber(option: string, text: string, least: number): number {
  const value = Number(text)
  if (Number.isSafeInteger(value) && value >= least && text.trim() !== '') return value
  console.error(`error: ${option} is ${JSON.stringify(text)}; give a whole number of at least ${least}`)
  process.exit(2)
}

setFlagsFromString('--expose_gc')
const collectGarbage = runInNewContext('gc') as () => void

// One warning for each round would bury the rest.
process.removeAllListeners('warning')

async function play(tally: ChaosTally): Promise<void> {
  // A transfer that has settled keeps no process alive, and here the quiesce is waited for as well.
  const alive = setInterval(() => {}, 1000)
  const world = await ChaosWorld.open()
  const rounds = Math.ceil(transfers / ROUND_TRANSFERS)
  for (let index = 0; index < rounds; index++) {
    await playRound(world, planRound(seed, index, world.own, world.foreign), index, seed, tally)
    if (!values.json && index % 10 === 9) console.error(`${tally.transfers} transfers, ${tally.firings} faults fired`)
  }
  const { missing } = world.damage()
  if (missing > 0) tally.problem(`${missing} blocks did not come back`)
  const { outstanding } = world.seam.policy.counters.permits
  if (outstanding > 0) tally.problem(`${outstanding} permits are outstanding`)
  tally.leaked += missing + outstanding
  await world.close()
  clearInterval(alive)
}

async function main(): Promise<ChaosTally> {
  const tally = new ChaosTally()
  const peer = await ChaosPeer.start('warm-up', 4096) // what Node itself opens for its first child stays open
  await peer.kill()
  const before = await settledResources()
  await play(tally)
  const after = await settledResources()
  for (const what of ['regions', 'progressThreads', 'fds'] as const) {
    const left = Math.max(0, after[what] - before[what])
    if (left === 0) continue
    tally.leaked += left
    tally.problem(`${left} ${what} are left`)
  }
  return tally
}

/** Views keep memory alive until they are collected. */
async function settledResources(): Promise<ProcessResources> {
  for (let i = 0; i < 5; i++) {
    collectGarbage()
    await sleep(40)
  }
  return processResources()
}

const startMs = performance.now()
const tally = await main()
const seconds = (performance.now() - startMs) / 1000
if (values.json) {
  console.log(
    JSON.stringify({
      seed,
      ...tally,
      outcomes: Object.fromEntries(tally.outcomes),
      faults: tally.faultsDigest(),
      good: tally.good,
      seconds,
    }),
  )
} else {
  const outcomes = [...tally.outcomes].sort((a, b) => b[1] - a[1]).map(([code, count]) => `${code} ${count}`)
  console.log(`seed ${seed}, backend mock, ${seconds.toFixed(1)} s`)
  console.log(`  transfers        ${tally.transfers} (${tally.refused} not posted, their peer was down)`)
  console.log(`  outcomes         ${outcomes.join(', ')}`)
  console.log(
    `  faults           ${tally.firings} fired, ${tally.kills} kills, ${tally.cuts} cuts, digest ${tally.faultsDigest()}`,
  )
  console.log(
    `  corruptions      ${tally.injected} injected, ${tally.caught} reached a transfer that was reported good, all caught`,
  )
  console.log(`  lost             ${tally.lost}`)
  console.log(`  wrong            ${tally.wrong}`)
  console.log(`  leaked           ${tally.leaked}`)
  console.log(
    `  late             ${tally.late} settled more than 50 ms after their deadline, the worst by ${Math.max(0, tally.worstOverrunMs).toFixed(1)} ms (${Math.max(0, tally.worstNativeOverrunMs).toFixed(1)} ms before the event loop)`,
  )
  console.log(`  worst settle     ${tally.worstSettleMs.toFixed(1)} ms`)
  for (const problem of tally.problems) console.log(`  problem: ${problem}`)
  const failed = [tally.lost, tally.wrong, tally.leaked].filter((count) => count > 0).length
  console.log(`${3 - failed} passed, ${failed} failed`)
}
process.exitCode = tally.good ? 0 : 1
