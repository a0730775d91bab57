// `kvseam reference check`: what it prints, how it exits, and what it says about files it cannot use. The cases are ours,
// small enough to check by hand.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { referenceCommand } from '../../../src/cli/reference.js'

const folder = mkdtempSync(join(tmpdir(), 'kvseam-vectors-'))

afterAll(() => {
  rmSync(folder, { recursive: true })
})

const BATCH = {
  name: 'batch',
  criticality: 0.2,
  latency_sla_ms: 200,
  jitter_tolerance: 0.9,
  is_release_path: false,
  is_prefill_decode_strict: false,
}

/** One case of each kind with answers worked out by hand from the published rules. */
const CASES = [
  {
    kind: 'gfs',
    id: 'gfs-one-sample',
    input: { thresholds: {}, latency_ms: [20], drop_fraction: [0.025] },
    // a = 0.5, b = 0, c = 0.5: 0.225 + 0.125 + 0.15 * 0.25
    expected: { gfs: 0.3875, p99_latency_ms: 20, jitter_ms: 0, mean_drop_fraction: 0.025 },
  },
  {
    kind: 'prs_fae',
    id: 'prs-half',
    input: {
      thresholds: {},
      state: 'degraded_usable',
      gfs: 0.25,
      active_sessions: 4,
      max_capacity: 8,
      available_alternates: 1,
      workload: BATCH,
    },
    // PRS 1/2 * 0.2 * 0.75 * 0.2; loss max(0.04, 0.125) * 1.5 * 0.2 = 0.0375, over 0.25
    expected: { effective_criticality: 0.2, prs: 0.015, fae: 0.15 },
  },
  {
    kind: 'admissibility',
    id: 'full',
    input: {
      state: 'healthy',
      gfs: 0,
      prs: 0,
      p99_latency_ms: 1,
      jitter_ms: 0,
      mean_drop_fraction: 0,
      active_sessions: 8,
      max_capacity: 8,
      workload: BATCH,
    },
    expected: { admissible: false, outcome: 'rejected_capacity', reason: 'capacity exhausted (8/8)' },
  },
  {
    kind: 'transition',
    id: 'cleared',
    input: { thresholds: {}, state: 'quarantined', gfs: 0.1, bad_windows: 0, clean_windows: 1 },
    expected: { state: 'restored' },
  },
  {
    kind: 'selection',
    id: 'headroom',
    input: {
      workload: BATCH,
      candidates: [
        { pool_id: 'x', state: 'healthy', gfs: 0, active_sessions: 0, max_capacity: 6, soft_capacity_fraction: 0.75 },
        {
          pool_id: 'y',
          state: 'restored',
          gfs: 0.00005,
          active_sessions: 4,
          max_capacity: 6,
          soft_capacity_fraction: 0.75,
        },
      ],
    },
    expected: {
      policy: 'headroom_first',
      soft_limits: [4, 4],
      selection_vectors: [
        [1, 0, 0, 0, 0, -6],
        [0, 1, 0.6667, 0.1, 0.0001, -2],
      ],
      order: ['y', 'x'],
    },
  },
  {
    kind: 'trace',
    id: 'one-slot',
    input: {
      thresholds: { candidate_window: 1 },
      pools: [{ pool_id: 'x', max_capacity: 1, soft_capacity_fraction: 0 }],
      steps: [
        { op: 'transfer', pool_id: 'x', latency_ms: 4, drop_fraction: 0, bytes_moved: 1 },
        { op: 'set_active_sessions', pool_id: 'x', active_sessions: 1 },
        { op: 'release', pool_id: 'x' },
        { op: 'release', pool_id: 'x' },
        { op: 'route', workload: BATCH },
      ],
    },
    expected: {
      steps: [
        { state: 'healthy', gfs: 0.045, bad_windows: 0, clean_windows: 1 },
        { active_sessions: 1 },
        { active_sessions: 0 },
        { active_sessions: 0 },
        {
          chosen_pool_id: 'x',
          outcome: 'admitted',
          reason: 'healthy admissible pool selected',
          candidates: [
            {
              pool_id: 'x',
              state: 'healthy',
              gfs: 0.045,
              prs: 0,
              fae: 0,
              admissible: true,
              primary_reason: 'healthy path',
              p99_latency_ms: 4,
              jitter_ms: 0,
              active_sessions: 0,
              available_alternates: 0,
              chosen: true,
            },
          ],
        },
      ],
    },
  },
]

function fileOf(name: string, lines: readonly (string | object)[]): string {
  const file = join(folder, name)
  writeFileSync(file, lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n'))
  return file
}

async function runCommand(...argv: string[]): Promise<{ code: number; stdout: string[]; stderr: string[] }> {
  const stdout: string[] = []
  const stderr: string[] = []
  const code = await referenceCommand(argv, {
    stdout: (line) => stdout.push(line),
    stderr: (line) => stderr.push(line),
    isTty: false,
    columns: 80,
    env: {},
  })
  return { code, stdout, stderr }
}

/** The hand-made cases with three expectations changed. */
const WRONG = [
  { ...CASES[0]!, expected: { ...CASES[0]!.expected, p99_latency_ms: 21 } },
  ...CASES.slice(1, 3),
  { ...CASES[3]!, expected: { state: 'quarantined' } },
  { ...CASES[4]!, expected: { ...CASES[4]!.expected, soft_limits: [5, 5] } },
]

test('a file whose cases all pass exits 0 with the totals', async () => {
  const file = fileOf('good.jsonl', [...CASES, ''])
  expect(await runCommand('check', file)).toEqual({ code: 0, stdout: ['6 passed, 0 failed'], stderr: [] })
})

test('windows line ends are fine', async () => {
  const file = join(folder, 'crlf.jsonl')
  writeFileSync(file, CASES.map((each) => `${JSON.stringify(each)}\r\n`).join(''))
  expect((await runCommand('check', file)).stdout).toEqual(['6 passed, 0 failed'])
})

test('failing cases are printed with id, field, expected and got, and exit 1', async () => {
  const { code, stdout } = await runCommand('check', fileOf('wrong.jsonl', WRONG))
  expect(code).toBe(1)
  expect(stdout).toEqual([
    'FAIL gfs-one-sample (line 1) expected.p99_latency_ms: expected 21, got 20',
    'FAIL cleared (line 4) expected.state: expected "quarantined", got "restored"',
    'FAIL headroom (line 5) expected.soft_limits[0]: expected 5, got 4 (and 1 more fields)',
    '2 passed, 3 failed',
  ])
})

test('--max-failures limits what is printed, not what is counted', async () => {
  const { code, stdout } = await runCommand('check', fileOf('wrong.jsonl', WRONG), '--max-failures', '1')
  expect(code).toBe(1)
  expect(stdout.slice(1)).toEqual(['... and 2 more failing cases', '2 passed, 3 failed'])
})

test('--json prints one document with every difference', async () => {
  const file = fileOf('wrong.jsonl', WRONG)
  const { code, stdout } = await runCommand('check', file, '--json')
  expect(code).toBe(1)
  expect(stdout).toHaveLength(1)
  const report = JSON.parse(stdout[0]!)
  expect(report).toMatchObject({ file, passed: 2, failed: 3 })
  expect(report.failures[1]).toEqual({
    id: 'cleared',
    kind: 'transition',
    line: 4,
    mismatches: [{ field: 'expected.state', expected: 'quarantined', got: 'restored' }],
  })
})

test('--help prints how to use it', async () => {
  const { code, stdout } = await runCommand('--help')
  expect(code).toBe(0)
  expect(stdout.join('\n')).toContain('--max-failures')
})

test.each([
  ['nothing', []],
  ['no file', ['check']],
  ['an unknown action', ['chekc', 'x']],
  ['two files', ['check', 'x', 'y']],
  ['an unknown option', ['check', 'x', '--jsn']],
  ['a limit that is no number', ['check', 'x', '--max-failures', 'many']],
])('%s is a usage error', async (_, argv) => {
  await expect(runCommand(...argv)).rejects.toThrow(expect.objectContaining({ code: 'KVSEAM_USAGE' }))
})

const GFS = CASES[0]!

test.each<[string, (string | object)[], number, RegExp]>([
  ['a line that is not JSON', [GFS, '{"kind":'], 2, /not valid JSON/],
  ['a line that is no object', ['[1,2]'], 1, /not a JSON object.*one case a line/],
  ['an unknown kind', [{ ...GFS, kind: 'gsf' }], 1, /unknown kind 'gsf'; use one of gfs, prs_fae/],
  ['a kind that is a method of every object', [{ ...GFS, kind: 'toString' }], 1, /unknown kind 'toString'/],
  ['a missing id', [{ ...GFS, id: undefined }], 1, /id is missing; give a string/],
  ['a repeated id', [GFS, '', GFS], 3, /already on line 1/],
  ['a missing input', [{ ...GFS, input: undefined }], 1, /input is not a JSON object/],
  ['a missing input field', [{ ...CASES[3]!, input: { thresholds: {} } }], 1, /input\.bad_windows is missing/],
  ['an unknown threshold', [{ ...GFS, input: { ...GFS.input, thresholds: { w_size: 1 } } }], 1, /thresholds\.w_size/],
  [
    'an unusable threshold',
    [{ ...GFS, input: { ...GFS.input, thresholds: { w_drop: -1 } } }],
    1,
    /cannot be run.*dropWeight/,
  ],
  ['an expectation that leaves out an answer', [{ ...GFS, expected: {} }], 1, /expected\.gfs is missing/],
  ['a file without cases', ['', '  '], 1, /no cases/],
  [
    'a latency that no path can have',
    [{ ...CASES[5]!, input: { ...CASES[5]!.input, steps: [{ ...CASES[5]!.input.steps![0], latency_ms: -1 }] } }],
    1,
    /cannot be run.*totalUs is -1000/,
  ],
])('%s is KVSEAM_VECTORS_INVALID with file and line', async (_, lines, line, message) => {
  const file = fileOf('malformed.jsonl', lines)
  const problem = expect.objectContaining({
    code: 'KVSEAM_VECTORS_INVALID',
    facts: expect.objectContaining({ file, line }),
    message: expect.stringMatching(message),
  })
  await expect(runCommand('check', file)).rejects.toThrow(problem)
  await expect(runCommand('check', file)).rejects.toThrow(`${file}:${line}: `)
})

test('a file that is not there is KVSEAM_VECTORS_INVALID', async () => {
  await expect(runCommand('check', join(folder, 'absent.jsonl'))).rejects.toThrow(
    expect.objectContaining({ code: 'KVSEAM_VECTORS_INVALID', message: expect.stringContaining('absent.jsonl') }),
  )
})
