// Loads the addon and declares its functions, one to one. Nothing here is public: permits are minted behind this line.

import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Blame, SEAM_ERROR_CODES, SeamError, type SeamErrorCode } from '../errors.js'

/** Must equal kBindingVersion in native/addon/addon.cc. */
const BINDING_VERSION = 3

/** Numbers of kvseam_op_kind in native/core/backend.h. */
export const OPERATION = { read: 1, write: 2, notify: 4 } as const

/** Operation of a permit that covers one series of probes and nothing else (native/core/permit.h). */
export const PROBE_PERMIT = 8

/** Numbers of ProbeKind in native/core/probe.h. */
export const PROBE_KIND = { rtt: 0, read: 1, write: 2 } as const

/** Layout of one record that `drain` writes: all numbers, times in nanoseconds. */
export const RECORD = {
  fields: 9,
  slot: 0,
  flags: 1,
  code: 2,
  blame: 3,
  backendCode: 4,
  bytes: 5,
  postNs: 6,
  wireNs: 7,
  totalNs: 8,
} as const

/** Bits of RECORD.flags (native/core/transfer.h). */
export const FLAG = { settled: 1, quiesced: 2, bytesUnknown: 4, selfDelayed: 8, quarantined: 16 } as const

/** Added to the count that `drain` returns when `takeEvents` has news. */
export const EVENTS_WAITING = 2 ** 30

/** A transfer number is generation * 2^21 + slot. */
export const SLOTS = 2 ** 21

export interface NativeRail {
  name: string
  bytesPerSecond: number
  latencyNs: number
}

export interface NativeAgentOptions {
  name: string
  backend: string
  rails?: readonly { name: string; device?: string; bytesPerSecond?: number; latencyNs?: number }[]
  maxTransfers?: number
  maxPaths?: number
  spinNs?: number
  quiesceGraceNs?: number
  /** Benchmarks only: one wake-up a completion, the design this engine does not use. */
  wakePerCompletion?: boolean
}

export interface NativeAgentInfo {
  incarnation: string
  rails: NativeRail[]
  label: 'mock' | 'emulated' | 'real'
  provider: string
  version: string
  operations: number
  canCancel: boolean
}

/** What loading a backend's library changed in this process. */
export interface BackendLoad {
  readonly file: string
  /** Environment variables that were unset and are set now, as NAME=value. */
  readonly variables: readonly string[]
  /** Numbers of the signals whose handlers the library replaced; they were put back. */
  readonly signals: readonly number[]
  /** Transport libraries of which the process has two copies: each has its own state, which ends badly. */
  readonly twins: readonly string[]
}

export interface NativePeerInfo {
  name: string
  incarnation: string
  rails: NativeRail[]
  gone: boolean
  regions: { name: string; bytes: number }[]
}

export type NativeEvent =
  | { kind: 'connected'; peer: number; error?: Error }
  | { kind: 'peer-down'; peer: number; error?: Error }
  | { kind: 'notification'; peer: number; name: string; data: Uint8Array }
  | { kind: 'fault'; peer: number }
  | NativeProbeEnd

/** The one end of a probe series. */
export interface NativeProbeEnd {
  kind: 'probe'
  peer: number
  series: number
  /** Of the operations that succeeded, in the order in which they ended. */
  samplesNs: Float64Array
  /** 1 where the process was stalled meanwhile; same order. */
  selfDelayed: Uint8Array
  /** Operations that the backend took, a warm-up included. */
  posted: number
  failed: number
  timedOut: number
  failedSelfDelayed: number
  endedEarly: boolean
  /** From the post of the first measured operation to the end. */
  elapsedNs: number
  /** The newest failure, or why it ended early. */
  error?: Error
}

export interface NativeProbeFigures {
  failed: number
  selfDelayed: number
  bytes: number
  ageNs: number | null
  jitterNs: number
}

export interface AgentCounters {
  posted: number
  settled: number
  quiesced: number
  duplicateCompletions: number
  lateCompletions: number
  quarantined: number
  wakes: number
  sleeps: number
  stalls: number
  /** Turns of the progress thread that ended for want of memory. */
  memoryShortages: number
  droppedNotifications: number
  inFlight: number
  /** Transfers whose destination no other may write: those that have not quiesced. */
  writeClaims: number
  /** Posts refused because their destination overlaps one of those, or itself. */
  overlapsRefused: number
  regions: number
  descriptorLists: number
  /** Operations of probes; `posted` counts those of transfers alone. */
  probes: number
  probesUnquiesced: number
}

export interface GateCounters {
  minted: number
  redeemed: number
  probesMinted: number
  probesRedeemed: number
  refused: number
  expired: number
  revoked: number
  outstanding: number
  epoch: number
}

/** Where the text of fault rules is wrong. */
export interface NativeFaultError {
  line: number
  column: number
  message: string
  source: string
  caret: number
}

export type NativeFaultPlan =
  | { plan: number; seed: string; seedGiven: boolean; kills: boolean }
  | { error: NativeFaultError }

export interface NativeFiring {
  rule: number
  step: number
  path: string
  op: string
  seq: number
  action: string
  value: number
}

export interface NativeRuleReport {
  text: string
  line: number
  column: number
  known: boolean
  matched: number
  fired: number
  paused: number
}

export interface NativeFaultCheck {
  delayNs: number
  blockNs: number
  lateNs: number
  outcome: 'error' | 'drop' | 'lose' | 'late' | null
  error?: Error
}

/** The addon's functions. Handles are numbers with a generation; a stale one is refused, never misread. */
export interface Binding {
  bindingVersion: number
  contractVersion: number
  setErrorFactory(make: (code: string, message: string, blame: string, backendCode: number) => Error): void
  probeBackend(name: string): Error | null
  loadReport(name: string): BackendLoad | null

  openGate(): number
  closeGate(gate: number): void
  mint(gate: number, pathKey: number, operations: number, maxBytes: number, ttlNs: number, workload?: number): number
  revoke(gate: number, permit: number): boolean
  advanceEpoch(gate: number): number
  gateCounters(gate: number): GateCounters

  openAgent(gate: number, options: NativeAgentOptions, onWake: () => void): number
  agentInfo(agent: number): NativeAgentInfo
  closeAgent(agent: number, graceNs: number): void
  freeAgent(agent: number): void
  keepAlive(agent: number, keep: boolean): void
  metadata(agent: number): Uint8Array
  connect(agent: number, metadata: Uint8Array, timeoutNs: number): number
  disconnect(agent: number, peer: number): void
  peerInfo(agent: number, peer: number): NativePeerInfo | null
  addPath(agent: number, localRail: number, peer: number, remoteRail: number): number
  pathKey(agent: number, path: number): number
  progressLag(agent: number): number
  agentCounters(agent: number): AgentCounters

  allocate(agent: number, bytes: number, name: string): number
  closeRegion(agent: number, region: number): void
  regionView(agent: number, region: number): ArrayBuffer
  copyIn(agent: number, region: number, offset: number, data: Uint8Array): void
  copyOut(agent: number, region: number, offset: number, data: Uint8Array): void
  regionTransfers(agent: number, region: number): number
  remoteRegion(agent: number, peer: number, name: string): number
  releaseRemoteRegion(agent: number, region: number): void
  liveRegions(): number

  listBlocks(
    agent: number,
    remote: boolean,
    region: number,
    baseOffset: number,
    strideBytes: number,
    parts: number,
    blockBytes: number,
    ids: Uint32Array | null,
    count: number,
  ): number
  listRuns(agent: number, remote: boolean, region: number, offsets: Float64Array, lengths: Float64Array): number
  listJoin(agent: number, lists: readonly number[]): number
  listInfo(agent: number, list: number): { count: number; bytes: number; runs: number; uniformBytes: number }
  releaseList(agent: number, list: number): void
  digest(agent: number, list: number, first: number, count: number): Promise<number>

  post(
    agent: number,
    permit: number,
    path: number,
    operation: number,
    localList: number,
    remoteList: number,
    first: number,
    count: number,
    timeoutNs: number,
    notify?: Uint8Array,
  ): number
  notify(agent: number, path: number, payload: Uint8Array, timeoutNs: number): number
  cancel(agent: number, transfer: number): void
  remaining(agent: number, slot: number): number
  drain(agent: number, records: Float64Array): number
  acknowledgeWake(agent: number): void
  takeEvents(agent: number): NativeEvent[]
  probe(
    agent: number,
    permit: number,
    path: number,
    kind: number,
    inbound: boolean,
    bytes: number,
    count: number,
    window: number,
    timeoutNs: number,
    totalNs: number,
  ): number
  cancelProbe(agent: number, series: number): void
  probeFigures(agent: number, path: number, kind: number, out: Float64Array): NativeProbeFigures | null
  describe(agent: number, backendCode: number): string
  histogram(agent: number, path: number, operation: number, phase: number, out: Float64Array): number
  pathCounters(agent: number, path: number): { bytes: number; succeeded: number; failed: number }
  measureMemcpy(fromAgent: number, fromList: number, toAgent: number, toList: number, rounds: number): number

  makeFaultPlan(text: string): NativeFaultPlan
  workloadNumber(name: string): number
  armFaults(agent: number, plan: number, allowReal: boolean): void
  retireFaults(plan: number): void
  disarmFaults(agent: number, plan: number): void
  freeFaults(plan: number): void
  resumeFaults(plan: number, rule: number): boolean
  nudge(agent: number): void
  faultReport(plan: number): { lost: number; rules: NativeRuleReport[] }
  takeFirings(plan: number, most: number): NativeFiring[]
  checkFaults(plan: number, op: string, path: string, bytes: number, workload: string): NativeFaultCheck | null
}

/** Codes in the order of KVSEAM_CODES in native/core/backend.h. */
export const NATIVE_CODES: readonly (SeamErrorCode | null)[] = [
  null,
  'KVSEAM_INVALID_ARGUMENT',
  'KVSEAM_OUT_OF_BOUNDS',
  'KVSEAM_INVALID_DESCRIPTOR',
  'KVSEAM_CLOSED',
  'KVSEAM_STALE_REGION',
  'KVSEAM_FOREIGN_REGION',
  'KVSEAM_REGION_BUSY',
  'KVSEAM_REGISTRATION_FAILED',
  'KVSEAM_NO_MEMORY',
  'KVSEAM_QUEUE_FULL',
  'KVSEAM_TIMEOUT',
  'KVSEAM_CANCELLED',
  'KVSEAM_PEER_DOWN',
  'KVSEAM_STALE_EPOCH',
  'KVSEAM_TRANSFER_FAILED',
  'KVSEAM_INTEGRITY',
  'KVSEAM_METADATA_INVALID',
  'KVSEAM_INCOMPATIBLE',
  'KVSEAM_NOT_SUPPORTED',
  'KVSEAM_BACKEND_UNAVAILABLE',
  'KVSEAM_PERMIT_INVALID',
  'KVSEAM_NO_PATH',
  'KVSEAM_FAULTS_SYNTAX',
  'KVSEAM_FAULTS_REFUSED',
]

/** Blames in the order of KVSEAM_BLAMES. */
export const NATIVE_BLAMES: readonly Blame[] = ['none', 'path', 'peer', 'pool', 'local', 'protocol', 'cancelled']

function makeError(code: string, message: string, blame: string, backendCode: number): SeamError {
  const known = code in SEAM_ERROR_CODES ? (code as SeamErrorCode) : 'KVSEAM_TRANSFER_FAILED'
  const facts = backendCode === 0 ? {} : { backendCode }
  return new SeamError(known, facts, message, { blame: blame as Blame })
}

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')

function missing(cause: unknown): SeamError {
  const target = `${process.platform}-${process.arch}`
  return new SeamError(
    'KVSEAM_ADDON_MISSING',
    { target, node: process.versions.node, folder: root },
    [
      `kvseam has no native addon for ${target} that loads here (${cause instanceof Error ? cause.message.split('\n')[0] : cause}).`,
      'What helps:',
      '  1. `npx kvseam rebuild` compiles it on this machine (needs a C++20 compiler, make and python3).',
      '  2. In a checkout: `npm run build:native`.',
      '  3. If the package was installed for another platform or copied from another machine: install it again here.',
    ].join('\n'),
    { cause },
  )
}

let loaded: Binding | undefined

/**
 * The addon, loaded on first use.
 * @throws KVSEAM_ADDON_MISSING with the remedies when there is none for this platform
 * @throws KVSEAM_ADDON_MISMATCH when it belongs to another version of the package
 */
export function binding(): Binding {
  if (loaded !== undefined) return loaded
  const require = createRequire(import.meta.url)
  let addon: Binding
  try {
    addon = require('node-gyp-build')(root) as Binding
  } catch (cause) {
    throw missing(cause)
  }
  if (addon.bindingVersion !== BINDING_VERSION) {
    throw new SeamError(
      'KVSEAM_ADDON_MISMATCH',
      { found: addon.bindingVersion ?? null, needed: BINDING_VERSION },
      `the native addon speaks binding version ${addon.bindingVersion ?? 'none'} and this package needs ${BINDING_VERSION}; ` +
        'run `npx kvseam rebuild` (in a checkout `npm run build:native`)',
    )
  }
  addon.setErrorFactory(makeError)
  loaded = addon
  return addon
}
