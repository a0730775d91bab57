// A stranger's program, copied beside an installed tarball by scripts/test-package.mjs. Says how it ended by its exit code.
// Argument: `works` (the addon has to load and move blocks) or `is-missing` (the error has to name the remedy).

import assert from 'node:assert/strict'
import { openSeam, SeamError } from 'kvseam'

const [expectation] = process.argv.slice(2)
if (expectation === 'works') await moveBlocks()
else await seeTheRemedy()

async function moveBlocks() {
  const seam = await openSeam()
  try {
    const prefill = await seam.agent('prefill-0', { rails: [{ name: 'r0' }] })
    const decode = await seam.agent('decode-0', { rails: [{ name: 'r0' }] })
    const from = prefill.allocate(1 << 20)
    const to = decode.allocate(1 << 20)
    from.write(new Uint8Array(4096).fill(7), 3 * 4096)
    const result = await seam.handoff({
      from: from.blocks(4096, [3]),
      to: to.blocks(4096, [5]),
      workload: 'interactive',
    })
    assert.equal(result.bytes, 4096)
    assert.equal(result.verified, true)
    assert.deepEqual(to.read(5 * 4096, 4096), new Uint8Array(4096).fill(7))
    const { name, label, provider, version } = seam.backend
    console.log(`${name} (${label}, ${provider} ${version}) moved ${result.bytes} bytes over ${result.path.id}`)
  } finally {
    await seam.close()
  }
}

async function seeTheRemedy() {
  const error = await openSeam().then(
    () => assert.fail('it opened'),
    (thrown) => thrown,
  )
  assert.ok(error instanceof SeamError, String(error))
  assert.equal(error.code, 'KVSEAM_ADDON_MISSING')
  assert.match(error.message, /npx kvseam rebuild/)
  console.log(error.message.split('\n')[0])
}
