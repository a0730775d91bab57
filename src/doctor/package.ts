// Looks at the package: does the runtime fit, does the addon load, which backends can be opened, and if not why.

import { SeamError } from '../errors.js'
import { binding } from '../native/binding.js'
import type { Finding } from './finding.js'

export const BACKENDS = ['mock', 'ucx', 'libfabric', 'nixl'] as const

const OLDEST_NODE = [20, 18] as const

export function packageFindings(wanted: string | undefined): Finding[] {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const fits = major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1])
  const findings: Finding[] = [
    {
      name: 'node',
      status: fits ? 'ok' : 'missing',
      found: `Node.js ${process.versions.node}, Node-API ${process.versions['napi'] ?? 'unknown'}`,
      remedy: fits ? null : `install Node.js ${OLDEST_NODE.join('.')} or newer`,
    },
  ]
  try {
    const { bindingVersion, contractVersion } = binding()
    findings.push({
      name: 'addon',
      status: 'ok',
      found: `native addon loaded (binding ${bindingVersion}, backend contract ${contractVersion})`,
      remedy: null,
    })
  } catch (error) {
    findings.push({ name: 'addon', status: 'missing', found: codeOf(error), remedy: textOf(error) })
    return findings
  }
  const names =
    wanted === undefined || (BACKENDS as readonly string[]).includes(wanted) ? BACKENDS : [...BACKENDS, wanted]
  for (const name of names) findings.push(backendFinding(name, name === wanted))
  return findings
}

function backendFinding(name: string, wanted: boolean): Finding {
  const reason = binding().probeBackend(name)
  if (reason === null) {
    const label = name === 'mock' ? ' (label: mock; its figures say nothing about a network)' : ''
    return { name: `backend.${name}`, status: 'ok', found: `backend ${name} can be opened${label}`, remedy: null }
  }
  return {
    name: `backend.${name}`,
    status: wanted ? 'missing' : 'note',
    found: textOf(reason),
    remedy: `choose another backend, or install a kvseam build that carries kvseam_${name}.so and the library it needs`,
  }
}

function codeOf(error: unknown): string {
  return SeamError.is(error) ? error.code : 'unexpected error'
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
