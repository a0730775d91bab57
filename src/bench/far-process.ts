// The far end of a benchmark in a process of its own.

import { FarHost, type FarSetup, type FromFar, type ToFar } from './far-end.js'

// The terminal sends Ctrl-C to every process of the group; the parent decides when this one ends.
process.on('SIGINT', () => {})
process.on('SIGTERM', () => {})
process.on('disconnect', () => process.exit(0))

function say(message: FromFar): void {
  if (process.connected) process.send?.(message)
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

async function main(setup: FarSetup): Promise<void> {
  const host = await FarHost.open(setup, true)
  process.on('message', (message: ToFar) => {
    if (message.kind === 'stop') {
      host.stop().then(
        () => process.disconnect(),
        () => process.exit(1),
      )
      return
    }
    const { id, request } = message
    host.ask(request).then(
      (value) => say({ kind: 'answer', id, value }),
      (error: unknown) => say({ kind: 'failed', id, message: messageOf(error) }),
    )
  })
  say({ kind: 'ready', metadata: host.metadata })
}

main(JSON.parse(process.argv[2] ?? '{}') as FarSetup).catch((error: unknown) => {
  say({ kind: 'failed', message: messageOf(error) })
  process.exitCode = 1
  process.disconnect?.()
})
