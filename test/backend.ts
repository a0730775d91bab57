// The backend of the tests that hold for every backend: the mock, or the one that KVSEAM_TEST_BACKEND names (vitest.config.ts).

import { it } from 'vitest'
import type { RailOptions } from '../src/native/agent.js'

export const BACKEND = process.env['KVSEAM_TEST_BACKEND'] ?? 'mock'
export const onMock = BACKEND === 'mock'

/** Two rails, as the mock has unless told; on ucx one of each kind. */
const RAILS: readonly RailOptions[] = [
  { name: 'rail0', device: 'tcp/lo' },
  { name: 'rail1', device: 'shm' },
]

/** For openSeam(). */
export const backendOptions: { readonly backend?: string; readonly rails?: readonly RailOptions[] } = onMock
  ? {}
  : { backend: BACKEND, rails: RAILS }

/** For what only the mock can show: how fast a rail is, its label, memory that is written while its process stands still. */
export const itOnMock = it.skipIf(!onMock)
