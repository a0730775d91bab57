// The failure model, one row a fault: what can go wrong, what must happen then, and what no test here shows yet.

export interface FailureRow {
  readonly number: number
  readonly fault: string
  readonly expected: string
  /** Tests of the C++ suite that belong to the row, as `Suite.Name`. */
  readonly native?: readonly string[]
  /** Tests of other parts that belong to the row, as file and name. */
  readonly elsewhere?: readonly (readonly [file: string, name: string])[]
  /** Why there is no test, or what the tests leave out. */
  readonly open?: string
}

const CONTROL = 'needs the control channel'
const TICKETS = 'needs tickets'
const STATES = 'test/policy/default/states.test.ts'
const EXIT = 'test/exit/exit.test.ts'

export const FAILURE_ROWS: readonly FailureRow[] = [
  {
    number: 1,
    fault: 'Peer dies in the middle of transfers',
    expected: 'PEER_DOWN within 2 s, every transfer ends once, its paths are no candidates, other peers go on',
    native: ['MockTwoProcesses.TheBytesOfAnotherProcessArriveAndItsDeathIsNoticed'],
  },
  {
    number: 2,
    fault: 'Frozen peer, half-open connection',
    expected: 'PEER_DOWN within 2 s by the missing signs of life, TIMEOUT where a deadline is earlier',
    native: [
      'MockTwoProcesses.AFrozenIdlePeerIsDownAndCanBeMetAgainWhenItThaws',
      'MockTwoProcesses.AFrozenPeersTransfersEndOnceAndTouchNothingAfterwards',
      'MockTwoProcesses.AShortFreezeIsOnlyADelay',
      'UcxProcesses.AFrozenPeerIsNoticedAndCanBeMetAgainWhenItThaws',
    ],
  },
  {
    number: 3,
    fault: 'Peer comes back after it was declared dead',
    expected: 'late writes do not reach memory that was taken back; late answers change nothing',
  },
  {
    number: 4,
    fault: 'Stale key after deregistration',
    expected: 'STALE_REGION, never wrong bytes',
    native: ['Mock.AWithdrawnRegionIsStaleAndItsMemoryComesBack', 'Mock.KeysAreNeverUsedTwice'],
  },
  {
    number: 5,
    fault: 'Peer restarts under its name',
    expected: 'old handles are stale, the new life works',
    native: ['Agent.ARestartedPeerIsANewPeerAndTheOldListsAreStale'],
  },
  { number: 6, fault: 'Restart while metadata is loaded', expected: 'typed error, retry works' },
  {
    number: 7,
    fault: 'Metadata cut or with a bit flipped',
    expected: 'METADATA_INVALID, known peers untouched',
    native: ['Agent.RefusedMetadataLeavesThePeersAsTheyWere'],
  },
  { number: 8, fault: 'Metadata with absurd counts', expected: 'METADATA_INVALID, bounded time and memory' },
  {
    number: 9,
    fault: 'Metadata of another version, backend, layout or dtype',
    expected: 'INCOMPATIBLE before any byte moves',
    open: 'metadata carries no layout or dtype yet',
  },
  { number: 10, fault: 'Source and destination lists that do not match', expected: 'INVALID_DESCRIPTOR at submit' },
  { number: 11, fault: 'Offsets out of bounds, overflowing, or no numbers', expected: 'refused before native code' },
  {
    number: 12,
    fault: 'Two transfers into the same destination',
    expected: 'REGION_BUSY',
    native: [
      'ClaimsOfAnAgent.HoldADestinationFromSubmitUntilQuiescedInBothDirections',
      'ClaimsOfAnAgent.ATransferThatTimedOutHoldsItsDestinationUntilItsLateCompletion',
      'ClaimsOfAnAgent.ALostPeerGivesThemBackAndAReconnectStillMeetsLateWrites',
      'ClaimsAgainstTheModel.AreRefusedExactlyWhenAByteIsTaken',
    ],
    open: `an agent sees its own transfers; that two agents write the same bytes of a third, or one reads into what another writes, ${TICKETS}`,
  },
  { number: 13, fault: 'Nothing, one byte, a huge descriptor list', expected: 'a defined result or a cap' },
  {
    number: 14,
    fault: 'Duplicate completion',
    expected: 'ignored and counted',
    native: ['Transfers.DuplicateAndLateCompletionsAreCountedAndChangeNothing'],
  },
  {
    number: 15,
    fault: 'Lost completion',
    expected: 'TIMEOUT with bytesUnknown, memory held until quiesced',
    native: ['Transfers.ThatNeverCompleteEndAtTheirDeadlineAndAreQuarantinedUntilTheyQuiesce'],
  },
  {
    number: 16,
    fault: 'Completion after cancel or timeout',
    expected: 'counted, not delivered',
    native: ['FaultedMock.ADuplicateIsCountedAndALateCompletionOnlyFreesTheMemory'],
  },
  {
    number: 17,
    fault: 'Duplicate or replayed message',
    expected: 'idempotent by transfer and epoch',
    native: ['FaultedMock.AMessageIsDoubledOrLost'],
    open: `the injection works; telling a replay from a message ${TICKETS}`,
  },
  { number: 18, fault: 'Message before its bytes are visible', expected: 'the digest says so; never early decode' },
  { number: 19, fault: 'Partial write, then an error', expected: 'error with the bytes moved; destination not usable' },
  { number: 20, fault: 'Short write reported as success', expected: 'INTEGRITY' },
  { number: 21, fault: 'Corrupted bytes, silent transport', expected: 'INTEGRITY for each, and the path pays' },
  { number: 22, fault: 'One of several rails fails', expected: 'memory is not reused before the siblings are quiet' },
  {
    number: 23,
    fault: 'Cancel races completion',
    expected: 'exactly one outcome',
    native: ['Transfers.CancelRacesCompletionAndEachTransferStillEndsOnce'],
  },
  {
    number: 24,
    fault: 'Progress thread stuck inside its backend',
    expected: 'deadlines kept from outside, blame local, other agents go on',
    native: ['Agent.AThreadStuckInTheBackendIsLeftBehindWithinTheBound'],
  },
  { number: 25, fault: 'Event loop blocked', expected: 'bytes go on, the path is not hurt' },
  { number: 26, fault: 'Views collected in flight', expected: 'impossible by construction' },
  { number: 27, fault: 'Views detached or resized in flight', expected: 'refused or harmless' },
  {
    number: 28,
    fault: 'SharedArrayBuffer changed by another thread',
    expected:
      'bytes go in by copy; what changes under a transfer is no success, since the digest comes after it is quiet',
  },
  {
    number: 29,
    fault: 'Worker terminated with transfers in flight',
    expected: 'bounded, nothing crashes',
    elsewhere: [[EXIT, 'that is terminated in the middle leaves nothing, and main goes on']],
  },
  {
    number: 30,
    fault: 'exit, uncaught error, SIGTERM in flight',
    expected: 'no crash, no hang',
    elsewhere: [[EXIT, 'ends with its own code after process.exit()']],
  },
  { number: 31, fault: 'Children started while memory is registered', expected: 'bytes correct' },
  {
    number: 32,
    fault: 'RLIMIT_MEMLOCK too small',
    expected: 'REGISTRATION_FAILED, nothing changed',
    open: 'the mock pins nothing, so the limit itself and the text with the remedy need a real transport',
  },
  {
    number: 33,
    fault: 'Memory keys exhausted',
    expected: 'REGISTRATION_FAILED, the registered set unchanged',
    native: ['FaultedMock.RegistrationsFailWholeAndLeaveNothingBehind'],
  },
  {
    number: 34,
    fault: 'Transport queue full',
    expected: 'bounded wait, QUEUE_FULL at the deadline, no spinning',
    native: [
      'Transfers.AQueueThatStaysFullEndsAtTheDeadlineWithoutSpinning',
      'Transfers.AFullPathDoesNotHoldUpAnother',
    ],
  },
  {
    number: 35,
    fault: 'Out of memory in native code',
    expected: 'NO_MEMORY, state rolled back; on the progress thread every transfer still ends once',
    native: [
      'WithoutMemory.TheCallIsRefusedAndNothingHasChanged',
      'WithoutMemoryAtTheStart.AnAgentOpensWholeOrNotAtAll',
      'ProgressWithoutMemory.EveryTransferEndsOnceAndTheNextIsServed',
      'ProgressWithoutMemoryAtTheStart.AConnectHasItsOutcomeAndTheNextWorks',
    ],
  },
  { number: 36, fault: 'Jitter storm', expected: 'refused to jitter-strict classes only' },
  { number: 37, fault: 'Bimodal latency', expected: 'the tail is seen; a good mean alone does not pass strict' },
  { number: 38, fault: 'One direction degraded', expected: 'judged in that direction alone' },
  { number: 39, fault: 'Rails failing together', expected: 'no herd beyond the capacity of what is left' },
  {
    number: 40,
    fault: 'Flapping at the period of the hysteresis',
    expected: 'bounded transitions',
    elsewhere: [
      [
        'test/property/policy.test.ts',
        'I22: a path that flaps with any period from half a second up changes state a bounded number of times a minute',
      ],
    ],
  },
  { number: 41, fault: 'Wall clock jumps', expected: 'decisions identical' },
  {
    number: 42,
    fault: 'Suspend, long monotonic gap',
    expected: 'stale evidence is UNKNOWN, not healthy',
    elsewhere: [[STATES, 'a healthy path without evidence for staleMs is unknown again']],
  },
  {
    number: 43,
    fault: 'No traffic',
    expected: 'probed, or UNKNOWN; probes alone never make a path healthy',
    elsewhere: [
      [STATES, 'probes alone never make a path healthy'],
      [STATES, 'a hung transfer is probed at once; silence quarantines the path, an answer writes the transfer off'],
      ['test/probe/background.test.ts', 'a healthy idle path is measured, and the policy takes nothing from it'],
    ],
  },
  {
    number: 44,
    fault: 'Probes and data disagree',
    expected: 'data outranks probes',
    elsewhere: [
      [
        STATES,
        'a path that is well for probes and bad for payload goes back from its first canary, for twice as long each time',
      ],
    ],
  },
  {
    number: 45,
    fault: 'Herd on a restored path',
    expected: 'staged return, then full use',
    elsewhere: [
      [STATES, 'quarantine ends only after its hold and clean probes, and full use only after canary payload'],
    ],
  },
  { number: 46, fault: 'Session never given back', expected: 'its lease ends and returns it' },
  {
    number: 47,
    fault: 'Orchestrator crashes and starts again',
    expected: 'states UNKNOWN, old tickets refused',
    open: `states are not stored yet, and old permits die with their process; ${TICKETS}`,
  },
  { number: 48, fault: 'Decision log on a full, broken or slow disk', expected: 'loop free, gap recorded' },
  {
    number: 49,
    fault: 'Torn last log record',
    expected: 'detected and reported, nothing before it lost',
    elsewhere: [
      ['test/record/read-log.test.ts', 'cut at any byte reads back as a prefix of what was written'],
      ['test/record/read-log.test.ts', 'goes on after a record that a crash cut off, without losing the next one'],
    ],
  },
  {
    number: 50,
    fault: 'Settings read again with bad values',
    expected: 'refused whole, the old ones stay, the place named',
    elsewhere: [
      [
        'test/policy/default/admission.test.ts',
        'new settings hold from the next call on, states and leases stay, and the hash says so',
      ],
    ],
  },
  {
    number: 51,
    fault: 'Reload makes a path vanish',
    expected: 'drain, then remove',
    open: 'settings name no paths, so none can vanish by them',
  },
  {
    number: 52,
    fault: 'Backend missing, of the wrong ABI, or not a backend',
    expected: 'BACKEND_UNAVAILABLE with the reason; others work',
  },
  {
    number: 53,
    fault: 'Two copies of a transport library',
    expected: 'detected, warned',
    native: ['LoadGuard.SeesTwoCopiesOfATransportLibraryUnderWhateverNames'],
    elsewhere: [
      ['test/ucx/loading.test.ts', 'warns when a second copy of a transport library is in it, and only then'],
    ],
  },
  {
    number: 54,
    fault: 'Forged metadata',
    expected: 'refused before memory is mapped',
    native: ['Mock.RefusesForgedAddressesAndKeys'],
    open: `who signed it: ${CONTROL}`,
  },
  { number: 55, fault: 'Region read without leave', expected: 'NOT_AUTHORIZED', open: TICKETS },
  { number: 56, fault: 'Replayed, expired or edited ticket', expected: 'refused, once', open: TICKETS },
  { number: 57, fault: 'Oversized control message', expected: 'closed at the cap', open: CONTROL },
  { number: 58, fault: 'Slow or flooding clients', expected: 'bounded, data path unaffected', open: CONTROL },
  { number: 59, fault: 'Spoofed name', expected: 'identity comes from TLS', open: CONTROL },
  {
    number: 60,
    fault: 'Fault flags left on',
    expected: 'refused on real backends, never unnoticed',
    native: ['FaultsOnARealBackend.AreRefusedUnlessAllowed'],
  },
]
