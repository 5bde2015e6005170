/**
 * Builds with AddressSanitizer and UndefinedBehaviorSanitizer and runs the core's tests and the
 * addon's under them. LibTorch itself is not instrumented, and leaks that Node and LibTorch leave
 * at exit on purpose are not looked for.
 */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { buildNative } from '../build/build-native.mjs'
import { root, run } from '../build/common.mjs'

const env = {
  ASAN_OPTIONS: 'detect_leaks=0:abort_on_error=1',
  UBSAN_OPTIONS: 'halt_on_error=1:print_stacktrace=1',
}

await run(process.execPath, ['scripts/build/bootstrap.mjs'])
const { findLibtorch } = await import('../../dist/engine/libtorch.js')
const folder = await buildNative({
  build: 'asan',
  libtorch: findLibtorch({ headers: true }).dir,
  targets: ['declip_node', 'declip_core_tests'],
})
await run(join(folder, 'declip_core_tests'), [], { env })

// Node is not instrumented, so the runtime must be in the process before the addon is.
const compiler = process.env.CXX ?? 'c++'
const runtime = execFileSync(compiler, ['-print-file-name=libasan.so'], { encoding: 'utf8' }).trim()
const tap = join(root, 'node_modules/tap/dist/esm/run.mjs')
await run(process.execPath, [tap, '--reporter=base', '--jobs=1', '--timeout=1200'], {
  env: {
    ...env,
    CI: 'true',
    DECLIP_ADDON: join(folder, 'declip-native.node'),
    LD_PRELOAD: runtime,
  },
})
