// Looks at environment variables that change how the data plane behaves, or that end the process when a transport sees them.

import type { Finding } from './finding.js'

type Environment = Readonly<Record<string, string | undefined>>

/** The EFA provider of libfabric aborts the process when one of these is set. */
const ABORTING = ['FI_EFA_MTU_SIZE', 'FI_EFA_TX_IOV_LIMIT', 'FI_EFA_RX_IOV_LIMIT']

/** @param devices whether the machine has EFA devices and Neuron devices */
export function variableFindings(env: Environment, devices: { efa: boolean; neuron: boolean }): Finding[] {
  const findings: Finding[] = []
  const faults = ['KVSEAM_FAULTS', 'KVSEAM_FAULTS_FILE'].filter((name) => env[name] !== undefined)
  if (faults.length > 0) {
    findings.push({
      name: 'variable.faults',
      status: 'note',
      found: `faults are armed by ${faults.join(' and ')}`,
      remedy: `every seam opened here injects them; unset ${faults.join(' and ')} if that is not meant`,
    })
  }
  const aborting = ABORTING.filter((name) => env[name] !== undefined)
  if (aborting.length > 0) {
    findings.push({
      name: 'variable.efa-aborting',
      status: 'note',
      found: `${aborting.join(', ')} set`,
      remedy: `unset ${aborting.join(', ')}: the EFA provider ends the process when it sees one`,
    })
  }
  const provider = env['FI_PROVIDER']
  if (devices.efa && provider !== undefined && !provider.split(',').includes('efa')) {
    findings.push({
      name: 'variable.provider',
      status: 'note',
      found: `FI_PROVIDER is ${provider}, so libfabric will not use the EFA devices`,
      remedy: 'unset FI_PROVIDER or set it to efa',
    })
  }
  if (devices.efa && devices.neuron && env['FI_EFA_ENABLE_SHM_TRANSFER'] !== '0') {
    findings.push({
      name: 'variable.efa-shm',
      status: 'note',
      found: `FI_EFA_ENABLE_SHM_TRANSFER is ${env['FI_EFA_ENABLE_SHM_TRANSFER'] ?? 'not set'}`,
      remedy:
        'set FI_EFA_ENABLE_SHM_TRANSFER=0: between processes of one host device memory would go through host memory',
    })
  }
  return findings
}
