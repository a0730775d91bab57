// Adds up what one stage of .ci/run ran: `count.mjs <log> [<vitest.json>]` prints "passed failed skipped" for the shell, then
// a line for each test that passed only at its second try.
// A file that did not load or an error outside any test is a failure that no runner counts by itself.

import { existsSync, readFileSync } from 'node:fs'

const [logFile, vitestFile] = process.argv.slice(2)
const log = readFileSync(logFile, 'utf8')
let passed = 0
let failed = 0
let skipped = 0
const secondTries = []

for (const [, bad, all] of log.matchAll(/^\d+% tests passed, (\d+) tests failed out of (\d+)/gm)) {
  passed += Number(all) - Number(bad)
  failed += Number(bad)
}
// ctest's sum above counts a skipped test as a passed one; it names them afterwards.
const skippedByCtest = [...log.matchAll(/^\s*\d+ - .* \(Skipped\)$/gm)].length
passed -= skippedByCtest
skipped += skippedByCtest

for (const [, good, bad, left = '0'] of log.matchAll(/^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/gm)) {
  passed += Number(good)
  failed += Number(bad)
  skipped += Number(left)
}

if (vitestFile !== undefined) {
  // No report: vitest died before it could write one.
  const report = existsSync(vitestFile) ? JSON.parse(readFileSync(vitestFile, 'utf8')) : undefined
  passed += report?.numPassedTests ?? 0
  skipped += (report?.numPendingTests ?? 0) + (report?.numTodoTests ?? 0)
  failed += report === undefined ? 1 : report.numFailedTests
  failed +=
    report?.testResults.filter((file) => file.status === 'failed' && file.assertionResults.length === 0).length ?? 0
  for (const file of report?.testResults ?? []) {
    for (const { status, fullName, failureMessages } of file.assertionResults) {
      if (status !== 'passed' || failureMessages.length === 0) continue
      secondTries.push(`second try: ${fullName}: ${failureMessages[0].split('\n')[0]}`)
    }
  }
}
console.log(passed, failed, skipped)
for (const line of secondTries) console.log(line)
