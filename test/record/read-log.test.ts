// A record log reads back byte for byte; what was changed, cut off or never there is refused with its place.

import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type LogCondition, type LoggedRecord, readLog, unread } from '../../src/record/read-log.js'
import { RecordLog } from '../../src/record/record-log.js'

let folder: string
let file: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kvseam-log-'))
  file = join(folder, 'records.jsonl')
})
afterEach(() => rmSync(folder, { recursive: true }))

async function written(count: number): Promise<void> {
  const log = new RecordLog(file)
  for (let i = 0; i < count; i++) log.write({ schema: 'kvseam.test/1', seq: i, text: '"}],"prevHash":null}' })
  await log.close()
}

async function read(): Promise<{ records: LoggedRecord[]; condition: LogCondition }> {
  const condition = unread()
  const records: LoggedRecord[] = []
  for await (const record of readLog(file, condition)) records.push(record)
  return { records, condition }
}

describe('a record log', () => {
  test('gives back what was written, byte for byte, and its chain holds', async () => {
    await written(50)
    const { records, condition } = await read()
    expect(condition).toEqual({ records: 50, brokenAt: [], lost: 0, torn: 0 })
    expect(records[7]!.json).toBe(JSON.stringify({ schema: 'kvseam.test/1', seq: 7, text: '"}],"prevHash":null}' }))
  })

  test('names the line after one that was changed, dropped or moved', async () => {
    await written(6)
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n')
    writeFileSync(file, `${lines.map((line, i) => (i === 2 ? line.replace('"seq":2', '"seq":9') : line)).join('\n')}\n`)
    expect((await read()).condition.brokenAt).toEqual([4])
    writeFileSync(file, `${lines.filter((_, i) => i !== 3).join('\n')}\n`)
    expect((await read()).condition.brokenAt).toEqual([4])
    writeFileSync(file, `${[lines[0], lines[2], lines[1], ...lines.slice(3)].join('\n')}\n`)
    expect((await read()).condition.brokenAt).toEqual([2, 3, 4])
  })

  test('appended to by a second life starts a new chain', async () => {
    await written(3)
    await written(3)
    expect((await read()).condition).toMatchObject({ records: 6, brokenAt: [] })
  })

  test('cut at any byte reads back as a prefix of what was written', async () => {
    await written(3)
    const whole = readFileSync(file, 'utf8')
    const all = (await read()).records.map(({ json }) => json)
    for (let bytes = whole.length - 1; bytes >= 0; bytes--) {
      truncateSync(file, bytes)
      const { records, condition } = await read()
      const jsons = records.map(({ json }) => json)
      expect(jsons).toEqual(all.slice(0, jsons.length))
      const text = whole.slice(0, bytes)
      const complete = text.split('\n').filter((line) => line.endsWith('}') && whole.includes(`${line}\n`)).length
      expect(jsons.length).toBe(complete)
      const cut = text !== '' && !text.endsWith('\n') && !whole.startsWith(`${text}\n`)
      expect(condition.torn).toBe(cut ? 1 : 0)
    }
  })

  test('goes on after a record that a crash cut off, without losing the next one', async () => {
    await written(3)
    truncateSync(file, readFileSync(file).length - 10)
    await written(3)
    expect((await read()).condition).toEqual({ records: 5, brokenAt: [], lost: 0, torn: 1 })
  })

  test('with rubbish in the middle is refused with the line', async () => {
    await written(2)
    const lines = readFileSync(file, 'utf8')
    writeFileSync(file, `${lines}rubbish\n${lines.split('\n')[1]}\n`)
    await expect(read()).rejects.toMatchObject({ code: 'KVSEAM_RECORD_LOG', facts: { file, line: 3 } })
  })

  test('that is not there is refused with the file', async () => {
    await expect(read()).rejects.toMatchObject({ code: 'KVSEAM_RECORD_LOG', facts: { file } })
  })
})
