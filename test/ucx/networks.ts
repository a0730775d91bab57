// Two network namespaces joined by two veth pairs: rails that can be slowed, cut and made lossy without touching the machine.
// Needs root; `networksHere` says whether it works here.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { onTestFinished } from 'vitest'

const ends = ['a', 'b'] as const
type End = (typeof ends)[number]

const CARRIER_MS = 10_000

function run(command: string, ...args: string[]): void {
  execFileSync(command, args, { stdio: ['ignore', 'ignore', 'pipe'] })
}

export class Networks {
  static #made = 0
  // A retry starts before the last try has been cleaned up.
  readonly #name = `kvs${process.pid}n${Networks.#made++}`

  /** @throws what `ip` says when it is not permitted */
  constructor() {
    onTestFinished(() => this.#remove())
    for (const end of ends) {
      run('ip', 'netns', 'add', this.namespace(end))
      run('ip', '-n', this.namespace(end), 'link', 'set', 'lo', 'up')
    }
    for (const rail of [0, 1]) {
      run(
        'ip',
        '-n',
        this.namespace('a'),
        'link',
        'add',
        `a${rail}`,
        'type',
        'veth',
        'peer',
        'name',
        `b${rail}`,
        'netns',
        this.namespace('b'),
      )
      for (const [i, end] of ends.entries()) {
        run('ip', '-n', this.namespace(end), 'addr', 'add', `10.77.${rail}.${i + 1}/24`, 'dev', `${end}${rail}`)
        run('ip', '-n', this.namespace(end), 'link', 'set', `${end}${rail}`, 'up')
      }
    }
    for (const end of ends) for (const rail of [0, 1]) this.#awaitCarrier(end, rail)
  }

  /** The kernel says that a link runs up to a second after it does, and UCX takes no device that does not. */
  #awaitCarrier(end: End, rail: number): void {
    const untilMs = performance.now() + CARRIER_MS
    for (;;) {
      const shown = execFileSync('ip', ['-n', this.namespace(end), '-j', 'link', 'show', 'dev', `${end}${rail}`])
      if ((JSON.parse(shown.toString()) as { operstate?: string }[])[0]?.operstate === 'UP') return
      if (performance.now() > untilMs) throw new Error(`${end}${rail} has no carrier after ${CARRIER_MS} ms`)
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20)
    }
  }

  namespace(end: End): string {
    return `${this.#name}${end}`
  }

  /** Everything that leaves `end` over the rail goes no faster than this. */
  limit(end: End, rail: number, rate: string): void {
    const device = ['dev', `${end}${rail}`, 'root']
    run(
      'ip',
      'netns',
      'exec',
      this.namespace(end),
      'tc',
      'qdisc',
      'replace',
      ...device,
      'tbf',
      'rate',
      rate,
      'burst',
      '64kb',
      'latency',
      '300ms',
    )
  }

  free(end: End, rail: number): void {
    run('ip', 'netns', 'exec', this.namespace(end), 'tc', 'qdisc', 'del', 'dev', `${end}${rail}`, 'root')
  }

  link(end: End, rail: number, state: 'up' | 'down'): void {
    run('ip', '-n', this.namespace(end), 'link', 'set', `${end}${rail}`, state)
  }

  /** One packet in `oneOf` that arrives at `end` is thrown away. */
  lose(end: End, oneOf: number): void {
    const inside = ['netns', 'exec', this.namespace(end), 'nft']
    run('ip', ...inside, 'add', 'table', 'ip', 'kvs')
    run('ip', ...inside, 'add', 'chain', 'ip', 'kvs', 'in', '{ type filter hook input priority 0 ; }')
    run('ip', ...inside, 'add', 'rule', 'ip', 'kvs', 'in', 'numgen', 'random', 'mod', String(oneOf), '<', '1', 'drop')
  }

  /** A node process at `end` with an IPC channel. */
  node(end: End, script: string, ...args: string[]): ChildProcess {
    const child = spawn(
      'ip',
      ['netns', 'exec', this.namespace(end), process.execPath, '--import', 'tsx', script, ...args],
      {
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      },
    )
    onTestFinished(() => void child.kill('SIGKILL'))
    return child
  }

  #remove(): void {
    for (const end of ends) {
      try {
        run('ip', 'netns', 'del', this.namespace(end))
      } catch {}
    }
  }
}

/** Whether `commands` (after `ip netns exec <namespace>`) all work here. */
function works(...commands: string[][]): boolean {
  if (process.getuid?.() !== 0) return false
  const probe = `kvsprobe${process.pid}`
  try {
    run('ip', 'netns', 'add', probe)
    for (const command of commands) run('ip', 'netns', 'exec', probe, ...command)
    return true
  } catch {
    return false
  } finally {
    try {
      run('ip', 'netns', 'del', probe)
    } catch {}
  }
}

export const networksHere = works(
  'ip link add probe0 type veth peer name probe1'.split(' '),
  'tc qdisc replace dev lo root tbf rate 1gbit burst 64kb latency 100ms'.split(' '),
)
if (!networksHere)
  console.warn(
    'tests between network namespaces are skipped: they need root, ip and tc with tbf (apt-get install iproute2)',
  )

export const lossHere =
  networksHere &&
  works(
    'nft add table ip kvs'.split(' '),
    ['nft', 'add', 'chain', 'ip', 'kvs', 'in', '{ type filter hook input priority 0 ; }'],
    'nft add rule ip kvs in numgen random mod 100 < 1 drop'.split(' '),
  )
if (networksHere && !lossHere)
  console.warn(
    'the test of packet loss is skipped: it needs nft with numgen (Debian, Ubuntu: apt-get install nftables)',
  )
