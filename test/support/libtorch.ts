/** Stand-ins for LibTorch: folders, archives and wheels whose libraries are a few bytes of text. */
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { Test } from 'tap'
import { create } from 'tar'
import {
  cachedLibtorch,
  LIBTORCH_VERSION,
  libraries,
  VERSION_HEADER,
} from '../../ts/engine/libtorch.js'
import { zip } from './zip.js'

type Files = Readonly<Record<string, string>>

/** Path of the largest library in a LibTorch folder. */
export const LIBRARY = `lib/${basename(libraries({ dir: '', origin: 'cache' })[1] ?? '')}`

/** What LibTorch's header says of a release. */
export function header(version: string): string {
  const [major, minor, patch] = version.split('.')
  return `#define TORCH_VERSION_MAJOR ${major}\n#define TORCH_VERSION_MINOR ${minor}\n#define TORCH_VERSION_PATCH ${patch}\n`
}

export const FILES: Files = {
  [LIBRARY]: 'machine code',
  [VERSION_HEADER]: header(LIBTORCH_VERSION),
  'include/ATen/ATen.h': '// header',
}

/** The name of LibTorch's folder in a cache. */
export const CACHED = basename(cachedLibtorch('', false))

/** The same files below a folder. */
export function under(root: string, files: Files = FILES): Record<string, string> {
  return Object.fromEntries(Object.entries(files).map(([path, text]) => [`${root}/${path}`, text]))
}

/** Writes files into a folder, and returns it. */
export function write(folder: string, files: Files = FILES): string {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
  return folder
}

/** LibTorch's own archive, with things in it that are not needed. */
export const ARCHIVE = zip({
  ...under('libtorch'),
  'libtorch/build-version': `${LIBTORCH_VERSION}+cpu\n`,
  'libtorch/lib/libtorch_python.so': 'for Python',
  'libtorch/lib/libtorchbind_test.so': 'for tests',
  'libtorch/bin/protoc': 'a program',
})

export const ARCHIVE_SHA256 = createHash('sha256').update(ARCHIVE).digest('hex')

/** A wheel of the given files, with a list of their checksums. */
export function wheelOf(files: Files, record = files, version = LIBTORCH_VERSION): Buffer {
  const info = `torch-${version}+cpu.dist-info`
  const all = { ...record, [`${info}/licenses/LICENSE`]: 'BSD' }
  const lines = Object.entries(all).map(([path, text]) => {
    return `${path},sha256=${createHash('sha256').update(text).digest('base64url')},${text.length}`
  })
  return zip({
    ...files,
    [`${info}/licenses/LICENSE`]: 'BSD',
    [`${info}/RECORD`]: `${lines.join('\r\n')}\r\n`,
  })
}

/** An npm package (.tgz) of the given files. */
export async function packageOf(t: Test, files: Files): Promise<Buffer> {
  const folder = join(t.testdirName, '..', `${basename(t.testdirName)}-package`)
  write(join(folder, 'package'), files)
  const file = join(folder, 'package.tgz')
  await create({ file, cwd: folder, gzip: true }, ['package'])
  return readFileSync(file)
}
