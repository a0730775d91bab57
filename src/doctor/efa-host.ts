// Looks at what an EFA or Trainium host needs beyond its devices: enough NICs, a driver of age, files that may be opened,
// the vendor's libraries. Says nothing on machines that have neither. Reads files, changes nothing.

import { accessSync, constants, existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Finding } from './finding.js'

/** EFA interfaces that these instance types have (Neuron architecture pages). */
const NICS: Readonly<Record<string, number>> = {
  'trn1.32xlarge': 8,
  'trn1n.32xlarge': 16,
  'trn2.48xlarge': 16,
  'trn2u.48xlarge': 16,
}
/** RDMA write came with 2.4 of Amazon’s driver, counters of retransmissions and unresponsive peers with 2.17. */
const DRIVER_FOR_WRITE = [2, 4] as const
const DRIVER_FOR_COUNTERS = [2, 17] as const

/** @param efa names of the EFA devices, `neuron` of the accelerators */
export function efaHostFindings(root: string, efa: readonly string[], neuron: readonly string[]): Finding[] {
  return [...(efa.length > 0 ? efaFindings(root, efa) : []), ...(neuron.length > 0 ? [neuronRuntime(root)] : [])]
}

function efaFindings(root: string, efa: readonly string[]): Finding[] {
  const findings: Finding[] = []
  const type = text(root, 'sys/class/dmi/id/product_name')
  const expected = NICS[type]
  if (expected !== undefined) {
    const enough = efa.length >= expected
    findings.push({
      name: 'efa.interfaces',
      status: enough ? 'ok' : 'note',
      found: `${efa.length} of the ${expected} EFA interfaces of a ${type}`,
      remedy: enough
        ? null
        : 'launch the instance with all its EFA interfaces, or give the container all of /dev/infiniband',
    })
  }
  findings.push(driver(root), verbs(root))
  const installed = ['opt/amazon/efa/lib', 'opt/amazon/efa/lib64'].some((folder) =>
    existsSync(join(root, folder, 'libfabric.so.1')),
  )
  findings.push({
    name: 'efa.libfabric',
    status: installed ? 'ok' : 'note',
    found: installed ? 'libfabric of the EFA installer is there' : 'no libfabric in /opt/amazon/efa',
    remedy: installed
      ? null
      : 'install the EFA installer; a distribution’s libfabric may lack device memory and RDMA write',
  })
  return findings
}

function driver(root: string): Finding {
  const version = text(root, 'sys/module/efa/version')
  if (version === '') {
    return {
      name: 'efa.driver',
      status: 'note',
      found: 'the version of the efa driver could not be read',
      remedy: 'look at `modinfo efa`; 2.17 or newer has the path-health counters',
    }
  }
  const writes = atLeast(version, DRIVER_FOR_WRITE)
  const counts = atLeast(version, DRIVER_FOR_COUNTERS)
  return {
    name: 'efa.driver',
    status: counts ? 'ok' : 'note',
    found: `efa driver ${version}`,
    remedy: counts
      ? null
      : writes
        ? 'it has no counters of retransmissions and unresponsive peers; update to 2.17 or newer'
        : 'it has no RDMA write (pushes are emulated); update to 2.17 or newer',
  }
}

function verbs(root: string): Finding {
  const folder = join(root, 'dev/infiniband')
  const files = list(folder).filter((name) => name.startsWith('uverbs'))
  const closed = files.filter((name) => !opens(join(folder, name)))
  const well = files.length > 0 && closed.length === 0
  return {
    name: 'efa.verbs',
    status: well ? 'ok' : 'note',
    found:
      files.length === 0
        ? '/dev/infiniband has no uverbs files'
        : closed.length > 0
          ? `may not be opened: ${closed.join(', ')}`
          : `/dev/infiniband/uverbs*: ${files.length}`,
    remedy: well ? null : 'map /dev/infiniband into the container (device plugin vpc.amazonaws.com/efa, or --device)',
  }
}

function neuronRuntime(root: string): Finding {
  const driverVersion = text(root, 'sys/module/neuron/version')
  const found = ['opt/aws/neuron/lib', 'usr/lib', 'usr/local/lib'].some((folder) =>
    existsSync(join(root, folder, 'libnrt.so.1')),
  )
  return {
    name: 'neuron.runtime',
    status: found ? 'ok' : 'note',
    found: `Neuron driver ${driverVersion === '' ? 'of unknown version' : driverVersion}, libnrt.so.1 ${found ? 'found' : 'not found'}`,
    remedy: found
      ? null
      : 'install aws-neuronx-runtime-lib and put /opt/aws/neuron/lib on the loader’s path: without it device memory cannot be registered',
  }
}

/** Whether `2.17.1g` is at least 2.17. */
function atLeast(version: string, [major, minor]: readonly [number, number]): boolean {
  const [a = 0, b = 0] = version.split('.').map((part) => Number.parseInt(part, 10) || 0)
  return a > major || (a === major && b >= minor)
}

function text(root: string, file: string): string {
  try {
    return readFileSync(join(root, file), 'utf8').trim()
  } catch {
    return ''
  }
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder).sort()
  } catch {
    return []
  }
}

function opens(file: string): boolean {
  try {
    accessSync(file, constants.R_OK | constants.W_OK)
    return true
  } catch {
    return false
  }
}
