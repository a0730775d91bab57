// Rules of this repository that no linter knows: each says which files it reads and returns its findings, one a line.

import { readFileSync } from 'node:fs'

const code = (file) => /\.(ts|mts|mjs|js|cc|h|sh)$/.test(file)
const native = (file) => file.startsWith('native/') && code(file)

export const houseRules = [
  {
    name: 'Node-API stays in native/addon',
    appliesTo: (file) => native(file) && !file.startsWith('native/addon/'),
    findings: matching(/#\s*include\s*[<"](napi|node_api|js_native_api)/),
  },
  {
    name: 'every C++ source is built',
    appliesTo: (file) => native(file) && file.endsWith('.cc'),
    findings: (file) => (built().includes(`"${file}"`) ? [] : [`${file} is not in native/sources.gypi`]),
  },
  {
    name: 'src/policy is pure',
    appliesTo: (file) => file.startsWith('src/policy/') && code(file),
    findings: (file, text) => [
      ...matching(
        /\b(Date\.now|new Date\(\)|performance\.|Math\.random|process\.|setTimeout|setInterval|setImmediate|console\.|fetch\()/,
      )(file, text),
      ...imports(text)
        .filter(({ from }) => !staysInside(file, from))
        .map(({ from, line }) => `${file}:${line}: imports ${from}, which is outside src/policy`),
    ],
  },
  {
    name: 'no path of one machine',
    appliesTo: (file) => !file.endsWith('package-lock.json'),
    findings: matching(/(^|[^A-Za-z0-9_.])\/(work|farm|root|home\/[a-z]+|Users\/[a-z]+)\//),
  },
  {
    name: 'no registry host',
    appliesTo: () => true,
    findings: matching(/\b(registry\.[a-z]+\.(org|com)|pypi\.org|crates\.io|proxy\.golang\.org|deb\.debian\.org)\b/),
  },
  {
    name: 'no download address in the lock file',
    appliesTo: (file) => file === 'package-lock.json',
    findings: matching(/"resolved":/),
  },
]

function built() {
  return readFileSync(new URL('../native/sources.gypi', import.meta.url), 'utf8')
}

function matching(pattern) {
  return (file, text) =>
    text
      .split('\n')
      .flatMap((line, i) => (pattern.test(line) ? [`${file}:${i + 1}: ${line.trim().slice(0, 120)}`] : []))
}

function imports(text) {
  const lines = text.split('\n')
  return lines.flatMap((line, i) => {
    const from = /(?:\bfrom|\bimport)\s*\(?\s*['"]([^'"]+)['"]/.exec(line)?.[1]
    return from === undefined ? [] : [{ from, line: i + 1 }]
  })
}

/** A relative import that does not climb out of src/policy, or the library's error type, which is as pure. */
function staysInside(file, from) {
  if (!from.startsWith('.')) return false
  const resolved = new URL(from, `file:///${file}`).pathname
  // random.js draws by counter: the same seed and index give the same number everywhere.
  return resolved.startsWith('/src/policy/') || ['/src/errors.js', '/src/random.js'].includes(resolved)
}
