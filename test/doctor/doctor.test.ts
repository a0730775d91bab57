// What doctor finds, over a made-up file system and over the real machine.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { doctorCommand } from '../../src/cli/doctor.js'
import { machineFindings, softLimit } from '../../src/doctor/machine.js'

const roots: string[] = []

afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true })
})

function machine(files: Record<string, string>): { root: string } {
  const root = mkdtempSync(join(tmpdir(), 'kvseam-doctor-'))
  roots.push(root)
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, file)), { recursive: true })
    writeFileSync(join(root, file), text)
  }
  return { root }
}

const LIMITS = (memlock: string, files: string): string =>
  `Limit                     Soft Limit           Hard Limit           Units\nMax locked memory         ${memlock}              8388608              bytes\nMax open files            ${files}                 4096                 files\n`

function finding(root: { root: string }, name: string) {
  return machineFindings(root).find((each) => each.name === name)
}

const EFA = { 'sys/class/infiniband/rdmap0s6/device/uevent': 'DRIVER=efa\n' }

async function doctor(...argv: string[]): Promise<{ code: number; out: string[] }> {
  const out: string[] = []
  const code = await doctorCommand(argv, {
    stdout: (line) => out.push(line),
    stderr: () => {},
    isTty: false,
    columns: 100,
    env: {},
  })
  return { code, out }
}

test('soft limits are read from the kernel table, unlimited included', () => {
  expect(softLimit(LIMITS('65536', '1024'), 'Max locked memory')).toBe(65_536)
  expect(softLimit(LIMITS('unlimited', '1024'), 'Max locked memory')).toBe(Number.POSITIVE_INFINITY)
  expect(softLimit('', 'Max locked memory')).toBeNaN()
})

test('a small locked-memory limit is a note with a remedy, an unlimited one is not', () => {
  const small = finding(machine({ 'proc/self/limits': LIMITS('65536', '65536') }), 'limit.memlock')
  expect(small).toMatchObject({ status: 'note', found: 'locked memory: 65536 bytes' })
  expect(small?.remedy).toContain('LimitMEMLOCK')
  const none = finding(machine({ 'proc/self/limits': LIMITS('unlimited', '65536') }), 'limit.memlock')
  expect(none).toMatchObject({ status: 'ok', remedy: null })
})

test('a small open-files limit is noted', () => {
  expect(finding(machine({ 'proc/self/limits': LIMITS('0', '256') }), 'limit.open-files')?.status).toBe('note')
  expect(finding(machine({ 'proc/self/limits': LIMITS('0', '65536') }), 'limit.open-files')?.status).toBe('ok')
})

test('EFA and Neuron devices are found by driver and name', () => {
  const root = machine({
    'sys/class/infiniband/rdmap0s6/device/uevent': 'DRIVER=efa\nPCI_ID=1D0F:EFA1\n',
    'sys/class/infiniband/mlx5_0/device/uevent': 'DRIVER=mlx5_core\n',
    'dev/neuron0': '',
    'dev/neuron1': '',
    'dev/neuronlike': '',
  })
  expect(finding(root, 'device.rdma')).toMatchObject({
    status: 'ok',
    found: 'RDMA devices: mlx5_0, rdmap0s6 (EFA: rdmap0s6)',
  })
  expect(finding(root, 'device.neuron')).toMatchObject({ status: 'ok', found: 'Neuron devices: neuron0, neuron1' })
  expect(finding(machine({}), 'device.neuron')?.status).toBe('note')
})

test('without /proc the mock between processes is reported as missing', () => {
  expect(finding(machine({}), 'proc')?.status).toBe('missing')
})

test('on this machine the addon loads and the mock is there', async () => {
  const { code, out } = await doctor('--json')
  const { schema, findings } = JSON.parse(out[0]!) as { schema: string; findings: { name: string; status: string }[] }
  expect(schema).toBe('kvseam.doctor/1')
  expect(findings).toContainEqual(expect.objectContaining({ name: 'addon', status: 'ok' }))
  expect(findings).toContainEqual(expect.objectContaining({ name: 'backend.mock', status: 'ok' }))
  expect(code).toBe(0)
})

test('a backend that was asked for and is not there gives exit code 4 and the reason', async () => {
  const { code, out } = await doctor('--backend', 'nosuch')
  expect(code).toBe(4)
  expect(out.join('\n')).toContain("backend 'nosuch' is not available")
})

test('without EFA and Neuron devices nothing is said about what they need', () => {
  const names = machineFindings(machine({})).map((each) => each.name)
  expect(names.filter((name) => name.startsWith('efa.') || name.startsWith('neuron.'))).toEqual([])
})

test('a Trainium instance with too few EFA interfaces, an old driver and no library is told what to do about each', () => {
  const bare = machine({
    ...EFA,
    'sys/class/dmi/id/product_name': 'trn2.48xlarge\n',
    'sys/module/efa/version': '2.3.0\n',
  })
  expect(finding(bare, 'efa.interfaces')).toMatchObject({
    status: 'note',
    found: '1 of the 16 EFA interfaces of a trn2.48xlarge',
  })
  expect(finding(bare, 'efa.driver')?.remedy).toContain('no RDMA write')
  expect(finding(bare, 'efa.verbs')?.remedy).toContain('/dev/infiniband')
  expect(finding(bare, 'efa.libfabric')?.remedy).toContain('EFA installer')
  const counters = machine({ ...EFA, 'sys/module/efa/version': '2.10.0g\n' })
  expect(finding(counters, 'efa.driver')?.remedy).toContain('no counters')
  expect(finding(counters, 'efa.interfaces')).toBeUndefined()
})

test('an EFA host that has everything is well', () => {
  const whole = machine({
    ...EFA,
    'sys/module/efa/version': '2.17.1g\n',
    'dev/infiniband/uverbs0': '',
    'opt/amazon/efa/lib/libfabric.so.1': '',
    'dev/neuron0': '',
    'sys/module/neuron/version': '2.30.1\n',
    'opt/aws/neuron/lib/libnrt.so.1': '',
  })
  for (const name of ['efa.driver', 'efa.verbs', 'efa.libfabric', 'neuron.runtime']) {
    expect(finding(whole, name)).toMatchObject({ status: 'ok', remedy: null })
  }
  expect(finding(machine({ 'dev/neuron0': '' }), 'neuron.runtime')?.remedy).toContain('aws-neuronx-runtime-lib')
})

test('variables that change or end things are noted, and others are not', () => {
  const noted = (root: { root: string }, env: Record<string, string>): string[] =>
    machineFindings(root, env)
      .map((each) => each.name)
      .filter((name) => name.startsWith('variable.'))
  expect(noted(machine({}), {})).toEqual([])
  expect(noted(machine({}), { FI_PROVIDER: 'tcp' })).toEqual([])
  expect(noted(machine({}), { KVSEAM_FAULTS: '*=off', FI_EFA_MTU_SIZE: '1' })).toEqual([
    'variable.faults',
    'variable.efa-aborting',
  ])
  expect(noted(machine(EFA), { FI_PROVIDER: 'tcp' })).toEqual(['variable.provider'])
  expect(noted(machine(EFA), { FI_PROVIDER: 'efa' })).toEqual([])
  expect(noted(machine({ ...EFA, 'dev/neuron0': '' }), {})).toEqual(['variable.efa-shm'])
  expect(noted(machine({ ...EFA, 'dev/neuron0': '' }), { FI_EFA_ENABLE_SHM_TRANSFER: '0' })).toEqual([])
})
