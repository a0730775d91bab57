// Reading must give each format's requests exactly, stop where it is told to, and say where a file is wrong.

import { existsSync, mkdtempSync, readdirSync, readlinkSync, rmSync, statSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { SeamError } from '../../src/errors.js'
import { readTrace, traceRequests } from '../../src/trace/read.js'
import { AZURE_HEADER, mooncakeText, traceFile } from './trace-file.js'

/** The SeamError that reading ends with. */
async function failure(reading: Promise<unknown>): Promise<SeamError> {
  const error = await reading.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!SeamError.is(error)) throw new Error(`expected a SeamError, got ${String(error)}`)
  return error
}

describe('a Mooncake trace', () => {
  it('is recognised, counted from its first request, and keeps its bursts unless told otherwise', async () => {
    const file = traceFile(
      mooncakeText([
        [6000, 6758, 500],
        [6000, 7322, 490],
        [9000, 1, 0],
      ]),
    )
    expect(await readTrace(file)).toEqual({
      format: 'mooncake',
      requests: [
        { atMs: 0, inputTokens: 6758, outputTokens: 500 },
        { atMs: 0, inputTokens: 7322, outputTokens: 490 },
        { atMs: 3000, inputTokens: 1, outputTokens: 0 },
      ],
    })
  })

  it('spreads a tick evenly up to the next tick, and the last over a whole tick', async () => {
    const file = traceFile(
      mooncakeText([
        [0, 1, 1],
        [0, 2, 1],
        [0, 3, 1],
        [2999, 4, 1],
        [9000, 5, 1],
        [9000, 6, 1],
      ]),
    )
    const { requests } = await readTrace(file, { spreadTicks: true })
    expect(requests.map((request) => request.atMs)).toEqual([0, 2999 / 3, (2 * 2999) / 3, 2999, 9000, 10500])
  })

  it('gives the same requests at the same times whether or not a limit cuts a tick', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 20 }),
        fc.integer({ min: 1, max: 20 }),
        fc.boolean(),
        async (steps, limit, spreadTicks) => {
          const rows = steps.map((_, i) => [3000 * steps.slice(0, i).reduce((a, b) => a + b, 0), i + 1, 1] as const)
          const file = traceFile(mooncakeText(rows))
          const whole = await readTrace(file, { spreadTicks })
          const cut = await readTrace(file, { spreadTicks, limit })
          expect(cut.requests).toEqual(whole.requests.slice(0, limit))
          for (let i = 1; i < whole.requests.length; i++) {
            expect(whole.requests[i]!.atMs).toBeGreaterThanOrEqual(whole.requests[i - 1]!.atMs)
          }
        },
      ),
      { numRuns: 40 },
    )
  })

  it('takes a row one tick late for a row of the tick above, and refuses two ticks', async () => {
    const late = await readTrace(
      traceFile(
        mooncakeText([
          [0, 1, 1],
          [6000, 2, 1],
          [3000, 3, 1],
          [6000, 4, 1],
        ]),
      ),
    )
    expect(late.requests.map((request) => request.atMs)).toEqual([0, 6000, 6000, 6000])
    const error = await failure(
      readTrace(
        traceFile(
          mooncakeText([
            [0, 1, 1],
            [6000, 2, 1],
            [0, 3, 1],
          ]),
        ),
      ),
    )
    expect(error.facts).toMatchObject({ line: 3, field: 'timestamp', value: 0 })
    expect(error.message).toContain('6000 ms before')
  })
})

describe('an Azure trace', () => {
  it('is recognised by its header and keeps 100 ns, across midnight and the end of a year', async () => {
    const text = `${AZURE_HEADER}\r\n2023-12-31 23:59:59.9799600,4808,10\r\n2024-01-01 00:00:00.0319601,3180,0\r\n`
    expect(await readTrace(traceFile(text))).toEqual({
      format: 'azure',
      requests: [
        { atMs: 0, inputTokens: 4808, outputTokens: 10 },
        { atMs: 52.0001, inputTokens: 3180, outputTokens: 0 },
      ],
    })
  })

  it('finds its columns by name, in any order and any case, after a byte order mark', async () => {
    const text =
      '\ufeffgeneratedtokens,Region,contexttokens,Timestamp\n7,eu,9,2024-05-10 00:00:00.5+00:00\n8,eu,10,2024-05-10T01:00:01+01:00'
    expect((await readTrace(traceFile(text))).requests).toEqual([
      { atMs: 0, inputTokens: 9, outputTokens: 7 },
      { atMs: 500, inputTokens: 10, outputTokens: 8 },
    ])
  })

  it('puts swapped neighbours in order and refuses an hour back', async () => {
    const row = (time: string) => `2023-10-29 ${time},1,1`
    const swapped = [AZURE_HEADER, row('02:00:00.0'), row('02:00:01.0'), row('02:00:00.9')].join('\n')
    expect((await readTrace(traceFile(swapped))).requests.map((request) => request.atMs)).toEqual([0, 1000, 1000])
    const error = await failure(readTrace(traceFile([AZURE_HEADER, row('02:59:59'), row('02:00:00')].join('\n'))))
    expect(error.facts).toMatchObject({ line: 3, field: 'timestamp' })
  })

  it.each(['2023-02-29 00:00:00.0', '2023-01-01 24:00:00.0', '2023-01-01 00:60:00.0', '0', '2023-01-01'])(
    'refuses %s as a time',
    async (time) => {
      const error = await failure(readTrace(traceFile(`${AZURE_HEADER}\n${time},1,1`)))
      expect(error.facts).toMatchObject({ line: 2, field: 'TIMESTAMP', value: time })
    },
  )
})

describe('a trace that is wrong', () => {
  it.each([
    ['a negative length', [0, -1, 5], 'input_length', -1],
    ['a fraction of a token', [0, 10.5, 5], 'input_length', 10.5],
    ['an empty prompt', [0, 0, 5], 'input_length', 0],
    ['a length in quotes', [0, '10', 5], 'input_length', '10'],
    ['a missing length', [0, 10, undefined], 'output_length', undefined],
    ['a length no prompt can have', [0, 1e15, 5], 'input_length', 1e15],
    ['null for NaN', [0, 10, Number.NaN], 'output_length', null],
    ['a negative time', [-1, 10, 5], 'timestamp', -1],
    ['a time that is no number', ['soon', 10, 5], 'timestamp', 'soon'],
  ] as const)('is refused for %s, by file, line, field and value', async (_, row, field, value) => {
    const file = traceFile(`${mooncakeText([[0, 1, 1]])}\n\n${mooncakeText([row])}\n`)
    const error = await failure(readTrace(file))
    expect(error.code).toBe('KVSEAM_TRACE_INVALID')
    expect(error.facts).toEqual({ file, line: 3, field, value })
    expect(error.message).toMatch(/^.*trace\.txt:3: /)
  })

  it.each([
    ['an empty cell', '2023-11-16 18:17:03.9,,10', 'ContextTokens', ''],
    ['a hexadecimal number', '2023-11-16 18:17:03.9,0x10,10', 'ContextTokens', '0x10'],
    ['NaN', '2023-11-16 18:17:03.9,5,NaN', 'GeneratedTokens', 'NaN'],
    ['a negative number', '2023-11-16 18:17:03.9,5,-3', 'GeneratedTokens', -3],
    ['a cell too few', '2023-11-16 18:17:03.9,5', 'line', '2023-11-16 18:17:03.9,5'],
  ])('is refused in CSV for %s', async (_, row, field, value) => {
    const file = traceFile(`${AZURE_HEADER}\n${row}\n`)
    expect((await failure(readTrace(file))).facts).toEqual({ file, line: 2, field, value })
  })

  it.each([
    ['a row cut off in the middle', `${mooncakeText([[0, 1, 1]])}\n{"timestamp": 3000, "inp`, /:2: line .*cut off/],
    ['NaN in JSON', `${mooncakeText([[0, 1, 1]])}\n{"timestamp": NaN}`, /:2: line .*not a JSON object/],
    ['a JSON array', `${mooncakeText([[0, 1, 1]])}\n[1, 2, 3]`, /:2: line/],
    ['another kind of file', 'hello\n', /begins no known trace format.*Mooncake.*Azure/],
    ['a ServeGen client', '{"client_id":35,"windows":[]}', /ServeGen/],
    ['nothing in it', '', /has no request/],
    ['only blank lines', '\n \r\n\n', /has no request/],
    ['only a header', `${AZURE_HEADER}\n`, /has no request/],
  ])('is refused for %s', async (_, text, message) => {
    const error = await failure(readTrace(traceFile(text)))
    expect(error.code).toBe('KVSEAM_TRACE_INVALID')
    expect(error.message).toMatch(message)
  })

  it('shows no more than the beginning of a bad line', async () => {
    const error = await failure(readTrace(traceFile('x'.repeat(5000))))
    expect(error.message.length).toBeLessThan(500)
    expect(String(error.facts['value']).length).toBeLessThan(100)
  })

  it('is refused when the format asked for is not the format of the file', async () => {
    const file = traceFile(mooncakeText([[0, 1, 1]]))
    expect((await failure(readTrace(file, { format: 'azure' }))).facts).toMatchObject({ line: 1, field: 'header' })
    const unknown = await failure(readTrace(file, { format: 'servegen' as 'azure' }))
    expect(unknown.code).toBe('KVSEAM_INVALID_ARGUMENT')
  })

  it.each([0, -1, 1.5, Number.NaN])('is not even opened for a limit of %d', async (limit) => {
    expect((await failure(readTrace('/nowhere', { limit }))).code).toBe('KVSEAM_INVALID_ARGUMENT')
  })

  it('says what to do about a file that is not there, or is a directory', async () => {
    expect((await failure(readTrace('/nowhere/trace.jsonl'))).message).toMatch(/no such file; check the path/)
    const folder = mkdtempSync(`${tmpdir()}/kvseam-trace-`)
    expect((await failure(readTrace(folder))).message).toMatch(/directory/)
    rmSync(folder, { recursive: true })
  })
})

describe('a very large trace', () => {
  it('costs its head only: 500 MB with no line end after two rows are not read for a limit of two', async () => {
    const file = traceFile(
      `${mooncakeText([
        [0, 1, 1],
        [0, 2, 1],
      ])}\n`,
    )
    truncateSync(file, 500e6)
    expect(statSync(file).size).toBe(500e6)
    const { requests } = await readTrace(file, { limit: 2 })
    expect(requests).toHaveLength(2)
    // Without the limit it ends at the first megabyte that is no line, not after 500 of them.
    expect((await failure(readTrace(file))).message).toMatch(/longer than 1 Mi characters/)
  })

  it('leaves no file open when the reader stops early', async () => {
    const file = traceFile(mooncakeText(Array.from({ length: 20_000 }, (_, i) => [i * 3000, 1, 1] as const)))
    // A format without ticks is stopped before its second request is asked for.
    const fine = traceFile(`${AZURE_HEADER}\n${'2023-11-16 18:17:03.9,1,1\n'.repeat(20_000)}`)
    const open = () =>
      readdirSync('/proc/self/fd')
        .map((fd) => linkOf(`/proc/self/fd/${fd}`))
        .filter((target) => target === file || target === fine).length
    for await (const _ of traceRequests(file)) {
      expect(open()).toBe(1)
      break
    }
    for (const spreadTicks of [true, false]) {
      await readTrace(file, { limit: 1, spreadTicks })
      await readTrace(fine, { limit: 1, spreadTicks })
    }
    // Closing ends on a thread of the pool.
    await vi.waitFor(() => expect(open()).toBe(0))
  })
})

/** Where a link points; undefined when it is gone, as a descriptor of another thread may be. */
function linkOf(link: string): string | undefined {
  try {
    return readlinkSync(link)
  } catch {
    return undefined
  }
}

const shared = process.env['KVSEAM_SHARED'] ?? fileURLToPath(new URL('../../../shared', import.meta.url))

describe('the recorded traces', () => {
  it.for([
    ['mooncake-conversation-0-40min.jsonl', 'mooncake', 7851, 126_195],
    ['azure-2023-conv-0-40min.csv', 'azure', 14_176, 14_050],
    ['azure-2023-code-0-30min.csv', 'azure', 5740, 7437],
  ] as const)('%s is read whole', async ([name, format, count, mostTokens], context) => {
    const file = `${shared}/traces/${name}`
    if (!existsSync(file)) context.skip(`no ${file}; set KVSEAM_SHARED to read the recorded traces`)
    const trace = await readTrace(file)
    expect(trace.format).toBe(format)
    expect(trace.requests).toHaveLength(count)
    expect(Math.max(...trace.requests.map((request) => request.inputTokens))).toBeLessThanOrEqual(mostTokens)
    const spanMinutes = trace.requests.at(-1)!.atMs / 60_000
    expect(spanMinutes).toBeGreaterThan(29)
    expect(spanMinutes).toBeLessThan(40)
  })
})
