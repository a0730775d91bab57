// Loads UCX and then does what its argument says. Run by loading.test.ts.

import { openSeam } from '../../src/index.js'

// The types of this project's libraries know WebAssembly only as a namespace of types.
const { WebAssembly: wasm } = globalThis as unknown as {
  WebAssembly: {
    Module: new (bytes: Uint8Array) => object
    Instance: new (module: object) => { exports: Record<string, unknown> }
    RuntimeError: new () => Error
  }
}
const warnings: string[] = []
process.on('warning', (warning) => void warnings.push((warning as { code?: string }).code ?? warning.name))
const seam = await openSeam({ backend: 'ucx', rails: [{ name: 'lo', device: 'tcp/lo' }] })
await seam.agent('a')

switch (process.argv[2]) {
  case 'wasm': {
    // One page of memory and a function that reads four bytes beyond it: a trap that V8 takes by SIGSEGV.
    const module = new wasm.Module(
      Uint8Array.from([
        0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 127, 3, 2, 1, 0, 5, 3, 1, 0, 1, 7, 5, 1, 1, 102, 0, 0, 10, 11,
        1, 9, 0, 65, 128, 128, 4, 40, 2, 0, 11,
      ]),
    )
    const read = new wasm.Instance(module).exports['f'] as () => number
    try {
      read()
      console.log('read beyond the end')
    } catch (error) {
      console.log(error instanceof wasm.RuntimeError ? 'trapped' : String(error))
    }
    await seam.close()
    break
  }
  case 'sigterm':
    process.on('SIGTERM', () => {
      console.log('told to end')
      void seam.close().then(() => process.exit(0))
    })
    setInterval(() => {}, 1000)
    console.log('waiting')
    break
  case 'version': {
    const from = seam.agents[0]!.allocate(8192, { name: 'kv' })
    const to = (await seam.agent('b')).allocate(8192, { name: 'kv' })
    from.view().fill(3)
    const blocks = { from: from.blocks(4096, [0, 1]), to: to.blocks(4096, [1, 0]) }
    const done = await seam.handoff({ ...blocks, workload: 'batch', deadlineMs: 20_000 })
    console.log(seam.backend.version, done.verified)
    await seam.close()
    break
  }
  case 'twins': {
    await new Promise((resolve) => setImmediate(resolve)) // warnings come after the call that gives them
    console.log(seam.backend.loaded?.twins.length, warnings.includes('KVSEAM_TWIN_LIBRARIES'))
    await seam.close()
    break
  }
  case 'exit':
    process.exit(0)
    break
  case 'close':
    await seam.close()
    break
}
