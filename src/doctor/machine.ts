// Looks at the machine: limits, devices and kernel facilities that the data plane depends on. Reads files, changes nothing.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { availableParallelism, release, totalmem } from 'node:os'
import { join } from 'node:path'
import { efaHostFindings } from './efa-host.js'
import type { Finding } from './finding.js'
import { variableFindings } from './variables.js'

/** Where the files are; another root in tests. */
export interface MachineRoot {
  readonly root: string
}

const GIB = 2 ** 30

export function machineFindings(
  { root }: MachineRoot = { root: '/' },
  env: Readonly<Record<string, string | undefined>> = {},
): Finding[] {
  const efa = entries(join(root, 'sys/class/infiniband')).filter((device) => driverOf(root, device) === 'efa')
  const neuron = entries(join(root, 'dev')).filter((name) => /^neuron\d+$/.test(name))
  return [
    {
      name: 'machine',
      status: 'ok',
      found: `Linux ${release()}, ${availableParallelism()} CPUs, ${(totalmem() / GIB).toFixed(1)} GiB of memory`,
      remedy: null,
    },
    memlock(root),
    openFiles(root),
    processFiles(root),
    ...devices(root, efa, neuron),
    ...efaHostFindings(root, efa, neuron),
    ...variableFindings(env, { efa: efa.length > 0, neuron: neuron.length > 0 }),
  ]
}

/** One row of /proc/self/limits: soft limit, Infinity for `unlimited`; NaN when it cannot be read. */
export function softLimit(limits: string, row: string): number {
  const line = limits.split('\n').find((each) => each.startsWith(row))
  if (line === undefined) return Number.NaN
  const soft = line.slice(row.length).trim().split(/\s+/)[0]
  return soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft)
}

function limitsText(root: string): string {
  try {
    return readFileSync(join(root, 'proc/self/limits'), 'utf8')
  } catch {
    return ''
  }
}

function memlock(root: string): Finding {
  const bytes = softLimit(limitsText(root), 'Max locked memory')
  const enough = bytes >= 16 * GIB
  return {
    name: 'limit.memlock',
    status: enough ? 'ok' : 'note',
    found: Number.isNaN(bytes)
      ? 'could not be read'
      : `locked memory: ${bytes === Number.POSITIVE_INFINITY ? 'unlimited' : `${bytes} bytes`}`,
    remedy: enough
      ? null
      : 'the mock does not need it; RDMA transports pin what they register: raise it for the service (systemd: LimitMEMLOCK=infinity, containers: --ulimit memlock=-1)',
  }
}

function openFiles(root: string): Finding {
  const files = softLimit(limitsText(root), 'Max open files')
  const enough = files >= 4096
  return {
    name: 'limit.open-files',
    status: enough ? 'ok' : 'note',
    found: Number.isNaN(files) ? 'could not be read' : `open files: ${files}`,
    remedy: enough
      ? null
      : 'the mock takes one descriptor a region; raise it (`ulimit -n 65536`) before you register hundreds',
  }
}

function processFiles(root: string): Finding {
  const there = existsSync(join(root, 'proc/self/fd'))
  return {
    name: 'proc',
    status: there ? 'ok' : 'missing',
    found: there ? '/proc is mounted' : '/proc is not mounted',
    remedy: there ? null : 'mock agents of different processes find each other’s memory through /proc; mount it',
  }
}

function devices(root: string, efa: readonly string[], neuron: readonly string[]): Finding[] {
  const rdma = entries(join(root, 'sys/class/infiniband'))
  const interfaces = entries(join(root, 'sys/class/net'))
  return [
    { name: 'device.net', status: 'ok', found: `network interfaces: ${list(interfaces)}`, remedy: null },
    {
      name: 'device.rdma',
      status: rdma.length > 0 ? 'ok' : 'note',
      found: `RDMA devices: ${list(rdma)}${efa.length > 0 ? ` (EFA: ${list(efa)})` : ''}`,
      remedy:
        rdma.length > 0
          ? null
          : 'none is needed for mock, tcp or shared memory; on EFA instances load the efa driver and map /dev/infiniband into the container',
    },
    {
      name: 'device.neuron',
      status: neuron.length > 0 ? 'ok' : 'note',
      found: `Neuron devices: ${list(neuron)}`,
      remedy:
        neuron.length > 0
          ? null
          : 'none is needed for host memory; on Trainium hosts install aws-neuronx-dkms and map /dev/neuron* into the container',
    },
  ]
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder).sort()
  } catch {
    return []
  }
}

function driverOf(root: string, device: string): string {
  try {
    const uevent = readFileSync(join(root, 'sys/class/infiniband', device, 'device/uevent'), 'utf8')
    return /^DRIVER=(.*)$/m.exec(uevent)?.[1] ?? ''
  } catch {
    return ''
  }
}

function list(names: readonly string[]): string {
  return names.length === 0 ? 'none' : names.join(', ')
}
