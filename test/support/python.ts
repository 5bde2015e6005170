/** Python with packages that read our files, where it can be had. */
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { packageRoot } from '../../ts/base/package-files.js'

const run = promisify(execFile)

/** What a package is called where it is imported. */
const MODULES: Readonly<Record<string, string>> = {
  'opencv-python-headless': 'cv2',
  pillow: 'PIL',
  pyyaml: 'yaml',
}

/** Longest wait for packages, in ms. */
const INSTALL_MS = 240_000

/**
 * The Python that has these packages: the system's, else a virtual environment below build/ that is made once.
 *
 * @returns its path, or why there is none
 */
export async function pythonWith(
  ...packages: readonly string[]
): Promise<{ python: string } | { reason: string }> {
  const folder = join(packageRoot, 'build/test-python')
  const own = join(folder, 'bin/python')
  const imports = packages.map(name => `import ${MODULES[name] ?? name}`).join('\n')
  const has = (python: string) =>
    run(python, ['-c', imports]).then(
      () => true,
      () => false,
    )
  for (const python of [process.env['DECLIP_PYTHON'], own, 'python3']) {
    if (python && (await has(python))) return { python }
  }
  try {
    mkdirSync(join(packageRoot, 'build'), { recursive: true })
    if (existsSync(own)) {
      await run(own, ['-m', 'pip', 'install', '-q', ...packages], { timeout: INSTALL_MS })
    } else {
      await run('python3', ['-m', 'venv', folder], { timeout: INSTALL_MS })
      await run(own, ['-m', 'pip', 'install', '-q', ...packages], {
        timeout: INSTALL_MS,
        cwd: tmpdir(),
      })
    }
    if (await has(own)) return { python: own }
    return { reason: `python3 cannot import ${packages.join(', ')} after installing them` }
  } catch (error) {
    const { stderr, message } = error as { stderr?: string; message: string }
    return {
      reason: `python3 has no ${packages.join(', ')}, and they cannot be installed: ${(stderr || message).trim().split('\n').at(-1)}`,
    }
  }
}

/** What a script of test/support/python prints, as JSON. */
export async function readByPython(
  python: string,
  script: string,
  ...args: readonly string[]
): Promise<unknown> {
  const path = join(packageRoot, 'test/support/python', script)
  const { stdout } = await run(python, [path, ...args], { maxBuffer: 1 << 30 })
  return JSON.parse(stdout)
}
