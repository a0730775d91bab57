// Rows 7 to 9 and 54: metadata that is cut, flipped, absurd, of another make, or forged.

import { describe, expect } from 'vitest'
import { SeamError } from '../../src/errors.js'
import type { Agent } from '../../src/native/agent.js'
import { BACKEND } from '../backend.js'
import { row } from './row.js'
import { Subject } from './subject.js'

const TOTAL_AT = 8
const CRC_AT = 12

async function refusal(agent: Agent, blob: Uint8Array): Promise<string> {
  try {
    await agent.connect(blob, { timeoutMs: 300 })
  } catch (error) {
    if (SeamError.is(error)) return error.code
    throw error
  }
  return 'accepted'
}

const table = Uint32Array.from({ length: 256 }, (_, n) => {
  let crc = n
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  return crc
})

/** Writes the length and the CRC-32C anew, so that the blob is refused for what it says and not for its checksum. */
function mended(blob: Uint8Array): Uint8Array {
  const out = Uint8Array.from(blob)
  const view = new DataView(out.buffer)
  view.setUint32(TOTAL_AT, out.length, true)
  view.setUint32(CRC_AT, 0, true)
  let crc = 0xffffffff
  for (const byte of out) crc = (crc >>> 8) ^ table[(crc ^ byte) & 255]!
  view.setUint32(CRC_AT, ~crc >>> 0, true)
  return out
}

function replaced(blob: Uint8Array, from: string, to: string): Uint8Array {
  const text = Buffer.from(blob).toString('latin1')
  expect(text).toContain(from)
  return mended(Buffer.from(text.replace(from, to), 'latin1'))
}

/** What must be as before after every refusal. */
async function unharmed(subject: Subject): Promise<void> {
  expect(subject.decode.peers.map((peer) => peer.name)).toEqual(['prefill-0'])
  await subject.handOff({ rail: 0 })
  await subject.check()
}

describe('metadata', () => {
  row(7, 'cut at any byte is refused and known peers stay', async () => {
    const subject = await Subject.open()
    const blob = subject.prefill.metadata()
    for (let length = 0; length < blob.length; length++) {
      expect(await refusal(subject.decode, blob.subarray(0, length)), `${length} bytes`).toBe('KVSEAM_METADATA_INVALID')
      if (length >= 16) {
        expect(await refusal(subject.decode, mended(blob.subarray(0, length)))).toBe('KVSEAM_METADATA_INVALID')
      }
    }
    await unharmed(subject)
  })

  row(7, 'with any bit flipped is refused and known peers stay', async () => {
    const subject = await Subject.open()
    const blob = subject.prefill.metadata()
    for (let bit = 0; bit < blob.length * 8; bit++) {
      const flipped = Uint8Array.from(blob)
      flipped[bit >> 3]! ^= 1 << (bit & 7)
      expect(['KVSEAM_METADATA_INVALID', 'KVSEAM_INCOMPATIBLE']).toContain(await refusal(subject.decode, flipped))
    }
    await unharmed(subject)
  })

  row(
    8,
    'with absurd counts and lengths costs neither time nor memory',
    async () => {
      const subject = await Subject.open()
      const blob = subject.prefill.metadata()
      const before = process.memoryUsage.rss()
      const start = performance.now()
      let tried = 0
      for (let at = 16; at + 4 <= blob.length; at++) {
        for (const value of [0xffffffff, 0x7fffffff, 0x00100000]) {
          const odd = Uint8Array.from(blob)
          new DataView(odd.buffer).setUint32(at, value, true)
          tried++
          const code = await refusal(subject.decode, mended(odd))
          // Fields that are opaque or free (a rate, a latency) may hold anything; none of these is our peer, though.
          if (code === 'accepted') expect(subject.decode.peer('prefill-0')).toBeDefined()
        }
      }
      expect((performance.now() - start) / tried).toBeLessThan(350) // a handshake that is never answered included
      expect(process.memoryUsage.rss() - before).toBeLessThan(256 * 1024 * 1024)
      await subject.handOff({ rail: 0 }).catch((error: unknown) => {
        if (!SeamError.is(error)) throw error
      })
    },
    120_000,
  )

  row(9, 'of another backend or version is refused before anything moves', async () => {
    const subject = await Subject.open()
    const blob = subject.prefill.metadata()
    expect(await refusal(subject.decode, replaced(blob, BACKEND, `${BACKEND.slice(0, -1)}z`))).toBe(
      'KVSEAM_INCOMPATIBLE',
    )
    const other = Uint8Array.from(blob)
    other[4] = 99
    expect(await refusal(subject.decode, mended(other))).toMatch(/^KVSEAM_(INCOMPATIBLE|METADATA_INVALID)$/)
    expect(subject.decode.counters.posted).toBe(0)
    await unharmed(subject)
  })

  row(54, 'with a forged address or key is refused before its memory is mapped', async () => {
    const subject = await Subject.open()
    const blob = subject.prefill.metadata()
    const pid = Buffer.alloc(4)
    pid.writeInt32LE(process.pid)
    const forged = Buffer.alloc(4)
    forged.writeInt32LE(1) // another process, which never offered anything
    const code = await refusal(subject.decode, replaced(blob, pid.toString('latin1'), forged.toString('latin1')))
    expect(code).toMatch(/^KVSEAM_(METADATA_INVALID|PEER_DOWN|REGISTRATION_FAILED|STALE_REGION)$/)
    await unharmed(subject)
  })
})
