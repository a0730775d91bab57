// What must hold whatever happens, and the file that holds it. A name beginning with `native/` is a C++ test.

export interface Invariant {
  readonly name: string
  readonly text: string
  readonly where: readonly string[]
  readonly open?: string
}

const TRANSFERS = 'test/property/transfers.property.test.ts'
const CHAOS = 'test/chaos/chaos.test.ts'

export const INVARIANTS: readonly Invariant[] = [
  { name: 'I1', text: 'every submit settles exactly once', where: [TRANSFERS, CHAOS, 'native/test/transfer_test.cc'] },
  { name: 'I2', text: 'at the latest at its deadline', where: [TRANSFERS, CHAOS, 'native/test/transfer_test.cc'] },
  { name: 'I3', text: 'success means the right bytes there and none anywhere else', where: [TRANSFERS, CHAOS] },
  { name: 'I4', text: 'a failure never passes for a result', where: ['test/failures/content.test.ts', CHAOS] },
  { name: 'I5', text: 'no touch of the memory after it has quiesced', where: [TRANSFERS, CHAOS] },
  { name: 'I6', text: 'nothing is called back after close(), which is idempotent and bounded', where: [TRANSFERS] },
  { name: 'I7', text: 'the order of completions changes no final state', where: [TRANSFERS] },
  { name: 'I8', text: 'a cancel after the settle is nothing', where: [TRANSFERS, 'test/failures/completions.test.ts'] },
  { name: 'I9', text: 'bytes asked for = good + failed + unknown', where: [TRANSFERS] },
  {
    name: 'I10',
    text: 'registered - deregistered = live regions, 0 after close',
    where: [TRANSFERS, 'test/failures/resources.test.ts'],
  },
  { name: 'I11', text: 'a failed registration changes nothing', where: ['test/failures/resources.test.ts'] },
  { name: 'I12', text: 'keys are never used twice in one life', where: ['native/test/mock_backend_test.cc'] },
  { name: 'I13', text: 'resident memory comes back', where: ['test/failures/resources.test.ts'] },
  {
    name: 'I26',
    text: 'a log that is cut replays to a prefix',
    where: ['test/property/record-log.property.test.ts', 'test/record/read-log.test.ts'],
  },
  { name: 'I27', text: 'a ticket is accepted at most once', where: [], open: 'needs tickets' },
  {
    name: 'I28',
    text: 'parse(encode(x)) = x; any bytes give a value or a typed error',
    where: ['native/fuzz/metadata_fuzz.cc', 'native/fuzz/fault_spec_fuzz.cc', 'test/failures/metadata.test.ts'],
  },
  {
    name: 'I29',
    text: 'a message of one peer never changes the state of another',
    where: ['test/failures/peers.test.ts'],
    open: 'a peer that lies about its name needs the control channel',
  },
  { name: 'I30', text: 'without fault rules nothing is different', where: ['test/faults/environment.test.ts'] },
  {
    name: 'I31',
    text: 'one seed fires the same for each path and operation, in any interleaving',
    where: ['test/property/faults.property.test.ts', CHAOS, 'native/test/fault_rules_test.cc'],
  },
]
