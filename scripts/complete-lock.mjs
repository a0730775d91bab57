// Adds to package-lock.json the optional packages of other platforms that the registry in use did not serve.
// npm leaves them out silently and then `npm ci` refuses the lock file everywhere. Run it after an `npm install` of a tool.
// The entries carry no checksum, since nothing was downloaded; they are built for machines that none of the tests run on.

import { readFileSync, writeFileSync } from 'node:fs'

const file = new URL('../package-lock.json', import.meta.url)
const lock = JSON.parse(readFileSync(file, 'utf8'))
const added = []
for (const [folder, entry] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    const there = `node_modules/${name}` in lock.packages || `${folder}/node_modules/${name}` in lock.packages
    if (there) continue
    if (!/^\d+\.\d+\.\d+$/.test(version))
      throw new Error(`${name} is wanted as ${version}: not one version, add it by hand`)
    const { cpu, libc, os } = platform(name)
    // In npm's own order; what is undefined is not written.
    lock.packages[`node_modules/${name}`] = { version, cpu, dev: entry.dev, libc, optional: true, os }
    added.push(name)
  }
}
if (added.length > 0) {
  lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => a.localeCompare(b, 'en')))
  writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`)
}
console.log(added.length === 0 ? 'the lock file is complete' : `added ${added.join(', ')}`)

/** Read off the name, as napi-rs and its kin form it: <os>-<cpu>[-<libc or abi>]. */
function platform(name) {
  const [, os, cpu, abi = ''] =
    /-?\b(android|darwin|freebsd|linux|openharmony|win32)-([a-z0-9]+)(?:-([a-z]+))?$/.exec(name) ?? []
  if (os === undefined) throw new Error(`${name} does not end in a platform; add it by hand`)
  const libc = os !== 'linux' ? undefined : abi.startsWith('musl') ? 'musl' : 'glibc'
  return { cpu: [cpu], libc: libc && [libc], os: [os] }
}
