// kvseam replay --trace: the same requests twice the same way, under the label of an emulation.

import { describe, expect, test } from 'vitest'
import { replayCommand } from '../../src/cli/replay.js'
import { fakeIo } from '../cli/fake-io.js'
import { mooncakeText, traceFile } from '../trace/trace-file.js'

const file = () =>
  traceFile(mooncakeText(Array.from({ length: 60 }, (_, i) => [3000 * Math.floor(i / 10), 500 + 97 * i, 10] as const)))

async function replay(...argv: string[]): Promise<string[]> {
  const io = fakeIo()
  expect(await replayCommand(argv, io)).toBe(0)
  return io.out
}

describe('kvseam replay --trace', () => {
  test('plays the same requests the same way twice, and says that the links are emulated', async () => {
    const trace = file()
    const run = async () => JSON.parse((await replay('--trace', trace, '--requests', '300', '--json'))[0]!)
    const [one, two] = [await run(), await run()]
    expect(one).toMatchObject({ label: 'emulated', runs: [{ name: 'default', requests: 300 }] })
    expect(two.runs[0].digest).toBe(one.runs[0].digest)
  })

  test('shows another configuration beside the default one', async () => {
    const trace = file()
    const lines = await replay('--trace', trace, '--requests', '300', '--fault', 'blackhole', '--profile', 'reference')
    expect(lines.join('\n')).toMatch(/default +reference/)
    const same = await replay('--trace', trace, '--requests', '300', '--set', 'seed=0')
    expect(same.at(-1)).toContain('came out the same')
  })

  test('needs a log or a trace, and not both', async () => {
    const io = fakeIo()
    await expect(replayCommand([], io)).rejects.toMatchObject({ code: 'KVSEAM_USAGE' })
    await expect(replayCommand(['x.jsonl', '--trace', 'y'], io)).rejects.toMatchObject({ code: 'KVSEAM_USAGE' })
    await expect(replayCommand(['--trace', '/nowhere/trace.jsonl'], io)).rejects.toMatchObject({
      code: 'KVSEAM_TRACE_INVALID',
    })
  })
})
