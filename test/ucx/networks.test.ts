// UCX between network namespaces: a limited rail turns gray, a cut one fails alone and comes back, loss is only slow.

import type { ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { lossHere, Networks, networksHere } from './networks.js'
import { ucxHere } from './ucx-here.js'

const SENDER = fileURLToPath(new URL('./sender.child.ts', import.meta.url))
const RAW_SENDER = fileURLToPath(new URL('./raw-sender.child.ts', import.meta.url))
const PEER = fileURLToPath(new URL('./peer.child.ts', import.meta.url))

interface Report {
  done?: string | true
  failed?: string | true
  rail?: number
  code?: string
  blame?: string
  asked?: string
  path?: string
  state?: string
  ms?: number
  peerDown?: boolean
}

/** What a process says first; one that ends before says nothing any more. */
async function firstWord(child: ChildProcess): Promise<unknown> {
  return await new Promise((resolve, reject) => {
    child.once('message', resolve)
    child.once('exit', (code) => reject(new Error(`it ended with ${code} before it said anything`)))
  })
}

async function pair(networks: Networks, script: string) {
  const peer = networks.node('b', PEER, 'there', 'tcp/b0,tcp/b1', String(1 << 20))
  const { metadata } = (await firstWord(peer)) as { metadata: string }
  const sender = networks.node('a', script)
  const reports: Report[] = []
  await firstWord(sender)
  sender.on('message', (report) => reports.push(report as Report))
  sender.send(metadata)
  const seen = async (
    what: string,
    test: (report: Report) => boolean,
    from = 0,
    withinMs = 30_000,
  ): Promise<number> => {
    const until = performance.now() + withinMs
    for (;;) {
      const at = reports.findIndex((report, i) => i >= from && test(report))
      if (at >= 0) return at
      if (performance.now() > until) throw new Error(`never seen: ${what}; last: ${JSON.stringify(reports.slice(-4))}`)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }
  return { reports, seen }
}

/** The policy's window of 10 s, in which the samples from before outweigh the new ones at first, two ticks, and a slow machine. */
const DETECTION_MS = 15_000
/** The slow samples leave the window, eight calm ticks, and three stages of clean payload. */
const RESTORE_MS = 60_000

const on = (rail: number) => (report: Report) => report.path?.includes(`/rail${rail}>`) === true

describe.skipIf(!(ucxHere && networksHere))('UCX between network namespaces', { timeout: 150_000 }, () => {
  // A machine that is busy elsewhere can make both rails look gray.
  it('a limited rail turns gray, interactive work moves away, batch stays, and it is restored', {
    retry: 2,
  }, async () => {
    const networks = new Networks()
    const { reports, seen } = await pair(networks, SENDER)
    for (const rail of [0, 1])
      await seen(`batch on rail ${rail}`, (report) => report.done === 'batch' && on(rail)(report))
    await seen('enough samples', () => reports.filter((report) => report.done === 'batch').length > 30)
    const from = reports.length
    networks.limit('a', 0, '20mbit')
    const gray = await seen(
      'rail 0 is gray',
      (report) => report.state?.startsWith('degraded') === true && on(0)(report),
      from,
      DETECTION_MS,
    )
    await seen('interactive on rail 1', (report) => report.done === 'interactive' && on(1)(report), gray)
    const later = reports.length
    await seen(
      'more interactive work',
      () => reports.slice(later).filter((report) => report.done === 'interactive').length >= 10,
      later,
    )
    expect(reports.slice(later).filter((report) => report.done === 'interactive' && on(0)(report))).toEqual([])
    await seen('batch stays on rail 0', (report) => report.done === 'batch' && on(0)(report), later)
    networks.free('a', 0)
    const freed = reports.length
    const restored = await seen(
      'rail 0 is restored',
      (report) => report.state === 'restored' && on(0)(report),
      freed,
      RESTORE_MS,
    )
    const healthy = (report: Report) => report.state === 'healthy' && on(0)(report)
    await seen('rail 0 is healthy', healthy, restored, RESTORE_MS)
    // Slow is not dead.
    expect(reports.filter((report) => report.peerDown)).toEqual([])
    expect(reports.filter((report) => report.code === 'KVSEAM_PEER_DOWN')).toEqual([])
  })

  it('a cut rail fails alone, with the path to blame, and carries again when it is back', async () => {
    const networks = new Networks()
    const { reports, seen } = await pair(networks, RAW_SENDER)
    const done = (rail: number) => (report: Report) => report.done === true && report.rail === rail
    for (const rail of [0, 1]) await seen(`rail ${rail}`, done(rail))
    networks.link('b', 0, 'down')
    const failed = await seen('rail 0 fails', (report) => report.failed === true && report.rail === 0, reports.length)
    await seen('rail 1 carries on', done(1), failed + 20)
    const whileCut = reports.slice(failed)
    expect(
      whileCut.filter((report) => report.failed === true && (report.rail !== 0 || report.blame !== 'path')),
    ).toEqual([])
    networks.link('b', 0, 'up')
    await seen('rail 0 carries again', done(0), reports.length)
    expect(reports.filter((report) => report.peerDown)).toEqual([])
  })

  it.skipIf(!lossHere)('loses nothing when packets are lost', async () => {
    const networks = new Networks()
    const { reports, seen } = await pair(networks, RAW_SENDER)
    await seen('a write', (report) => report.done === true)
    networks.lose('b', 100)
    const from = reports.length
    await seen(
      'writes under loss',
      () => reports.slice(from).filter((report) => report.done === true).length >= 60,
      from,
    )
    expect(reports.slice(from).filter((report) => report.failed === true || report.peerDown)).toEqual([])
  })
})
