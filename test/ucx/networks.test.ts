// UCX between network namespaces: a limited rail turns gray, a cut one fails alone and comes back, loss is only slow.

import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { lossHere, Networks, networksHere } from './networks.js'
import { ucxHere } from './ucx-here.js'

const SENDER = fileURLToPath(new URL('./sender.child.ts', import.meta.url))
const PEER = fileURLToPath(new URL('./peer.child.ts', import.meta.url))

interface Report {
  done?: string
  failed?: string
  code?: string
  blame?: string
  asked?: string
  path?: string
  state?: string
  ms?: number
  peerDown?: boolean
}

async function pair(networks: Networks, ...args: string[]) {
  const peer = networks.node('b', PEER, 'there', 'tcp/b0,tcp/b1', String(1 << 20))
  const metadata = await new Promise<string>((resolve) =>
    peer.once('message', (said) => resolve((said as { metadata: string }).metadata)),
  )
  const sender = networks.node('a', SENDER, ...args)
  const reports: Report[] = []
  await new Promise((resolve) => sender.once('message', resolve))
  sender.on('message', (report) => reports.push(report as Report))
  sender.send(metadata)
  const seen = async (what: string, test: (report: Report) => boolean, from = 0): Promise<number> => {
    const until = performance.now() + 60_000
    for (;;) {
      const at = reports.findIndex((report, i) => i >= from && test(report))
      if (at >= 0) return at
      if (performance.now() > until) throw new Error(`never seen: ${what}; last: ${JSON.stringify(reports.slice(-4))}`)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }
  return { reports, seen }
}

const on = (rail: number) => (report: Report) => report.path?.includes(`/rail${rail}>`) === true

describe.skipIf(!(ucxHere && networksHere))('UCX between network namespaces', { timeout: 240_000 }, () => {
  it('a limited rail turns gray: interactive work moves to the other, batch goes on', async () => {
    const networks = new Networks()
    const { reports, seen } = await pair(networks)
    for (const rail of [0, 1])
      await seen(`batch on rail ${rail}`, (report) => report.done === 'batch' && on(rail)(report))
    await seen('enough samples', () => reports.filter((report) => report.done === 'batch').length > 60)
    const from = reports.length
    networks.limit('a', 0, '20mbit')
    const gray = await seen(
      'rail 0 is gray',
      (report) => report.state !== undefined && report.state !== 'healthy' && on(0)(report),
      from,
    )
    await seen('interactive on rail 1', (report) => report.done === 'interactive' && on(1)(report), gray)
    const later = reports.length
    await seen(
      'more interactive work',
      () => reports.slice(later).filter((report) => report.done === 'interactive').length >= 10,
      later,
    )
    expect(reports.slice(later).filter((report) => report.done === 'interactive' && on(0)(report))).toEqual([])
    // Slow is not dead.
    expect(reports.filter((report) => report.peerDown)).toEqual([])
    expect(reports.filter((report) => report.code === 'KVSEAM_PEER_DOWN')).toEqual([])
  })

  it('a cut rail fails alone, with the path to blame, and carries again when it is back', async () => {
    const networks = new Networks()
    const { reports, seen } = await pair(networks)
    for (const rail of [0, 1])
      await seen(`batch on rail ${rail}`, (report) => report.done === 'batch' && on(rail)(report))
    networks.link('b', 0, 'down')
    const cut = reports.length
    const failed = await seen('rail 0 fails', (report) => report.failed !== undefined && report.blame === 'path', cut)
    await seen('rail 1 carries', (report) => report.done !== undefined && on(1)(report), failed)
    expect(
      reports.slice(cut).filter((report) => report.done === 'batch' && on(0)(report) && (report.ms ?? 0) < 1000).length,
    ).toBeLessThan(3)
    expect(reports.filter((report) => report.peerDown)).toEqual([])
    networks.link('b', 0, 'up')
    expect(reports.slice(cut).some((report) => report.blame === 'peer')).toBe(false)
  })

  it.skipIf(!lossHere)('loses nothing when packets are lost', async () => {
    const networks = new Networks()
    const { reports, seen } = await pair(networks)
    await seen('batch', (report) => report.done === 'batch')
    networks.lose('b', 100)
    const from = reports.length
    await seen(
      'handoffs under loss',
      () => reports.slice(from).filter((report) => report.done !== undefined).length >= 30,
      from,
    )
    expect(reports.filter((report) => report.peerDown)).toEqual([])
    expect(reports.slice(from).filter((report) => report.code === 'KVSEAM_PEER_DOWN')).toEqual([])
  })
})
