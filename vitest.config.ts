// Projects, and where tests run: in processes, not threads, since they count the regions, threads and file descriptors of theirs.

import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

/** What must hold on every backend; test/backend.ts says on which one a test runs. */
const everyBackend = [
  'test/failures/**',
  'test/faults/arming.test.ts',
  'test/gate.test.ts',
  'test/handoff/**',
  'test/native/**',
  'test/probe/**',
  'test/processes/**',
  'test/property/faults.property.test.ts',
  'test/property/transfers.property.test.ts',
  'test/seam.test.ts',
].map((files) => (files.endsWith('**') ? `${files}/*.test.ts` : files))

/** A fork of vitest's ends by SIGTERM, which loses leak reports and coverage; a thread does not, but then only one at a time may run. */
const oneProcess = process.env['KVSEAM_TEST_ONE_PROCESS'] === '1'

export default defineConfig({
  test: {
    pool: oneProcess ? 'threads' : 'forks',
    // vitest would leave a CPU free, but what takes long here waits for deadlines and child processes.
    maxWorkers: oneProcess ? 1 : Math.max(2, availableParallelism() - 1),
    // Much here is about deadlines, and CI's machines have neighbours. .ci/run names each test that needed its second try; a
    // crash, a sanitizer's report and the chaos run get none.
    retry: process.env['CI'] === undefined ? 0 : 1,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    projects: [
      { extends: true, test: { name: 'mock', include: ['test/**/*.test.ts'] } },
      {
        extends: true,
        test: {
          name: 'ucx',
          include: everyBackend,
          env: { KVSEAM_TEST_BACKEND: 'ucx', KVSEAM_FAULTS_ALLOW_REAL: '1' },
          setupFiles: ['test/ucx/here.setup.ts'],
        },
      },
    ],
  },
})
