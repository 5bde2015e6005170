/**
 * Formats and lint rules of TypeScript and C++, and the types of everything that is not built.
 *
 *   node scripts/check/lint.mjs [--fix]
 */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Failure, filesUnder, root, run } from '../build/common.mjs'
import { compileTests } from './api-tests.mjs'
import { clangFormat } from './clang-format.mjs'

/**
 * Counts each tool as one test in `counts`; throws a Failure that names those that failed. `compile`:
 * TypeScript also writes the tests as JavaScript.
 */
export async function lint({ fix, compile = false }, counts) {
  const tools = {
    Biome: () => node('@biomejs/biome/bin/biome', 'check', ...(fix ? ['--write'] : []), '.'),
    TypeScript: () =>
      compile ? compileTests() : node('typescript/bin/tsc', '--noEmit', '-p', 'tsconfig.json'),
    'clang-format': () => formatCpp(fix),
  }
  const failed = []
  for (const [name, check] of Object.entries(tools)) {
    try {
      const ran = await check()
      counts[ran === 'skipped' ? 'skipped' : 'passed'] += 1
    } catch (error) {
      counts.failed += 1
      failed.push(`${name}: ${error.message}`)
    }
  }
  if (failed.length > 0) throw new Failure(failed.join('\n'))
}

function node(script, ...args) {
  return run(process.execPath, [join(root, 'node_modules', script), ...args])
}

async function formatCpp(fix) {
  const program = await clangFormat()
  if (!program) return 'skipped'
  const sources = filesUnder('binding', 'cpp', 'test/cpp', 'bench')
  const files = sources.filter(file => /\.(cpp|h|cu|cuh)$/.test(file))
  await run(program, [...(fix ? ['-i'] : ['--dry-run', '--Werror']), ...files])
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    await lint({ fix: process.argv.includes('--fix') }, { passed: 0, failed: 0, skipped: 0 })
  } catch (error) {
    console.error(error.message)
    process.exitCode = 1
  }
}
