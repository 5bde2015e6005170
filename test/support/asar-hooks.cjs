/**
 * Files as Electron shows them, for a program that Electron does not run. JavaScript sees the archive
 * ASAR_ARCHIVE as a folder: what `<archive>.unpacked` holds comes from there, all else from
 * ASAR_CONTENT, the archive's whole content. dlopen looks in `<archive>.unpacked` alone. Whatever opens
 * files by itself, as C++ does, sees the archive as the file it is. `process.noAsar` turns it off.
 */
const fs = require('node:fs')
const Module = require('node:module')
const { dirname } = require('node:path')
const { fileURLToPath } = require('node:url')

const archive = process.env.ASAR_ARCHIVE
const content = process.env.ASAR_CONTENT
const real = { existsSync: fs.existsSync, dlopen: process.dlopen, resolve: Module._resolveFilename }

const isInside = path => typeof path === 'string' && path.startsWith(`${archive}/`)
const unpacked = path => `${archive}.unpacked${path.slice(archive.length)}`
const packed = path => (isInside(path) ? content + path.slice(archive.length) : path)
const shown = path => (path.startsWith(`${content}/`) ? archive + path.slice(content.length) : path)

function onDisk(given) {
  const path = given instanceof URL ? fileURLToPath(given) : given
  if (process.noAsar || !isInside(path)) return given
  return real.existsSync(unpacked(path)) ? unpacked(path) : packed(path)
}

function patch(holder) {
  for (const [name, original] of Object.entries(holder)) {
    if (typeof original !== 'function' || /^[A-Z_]/.test(name) || name.startsWith('realpath'))
      continue
    holder[name] = Object.assign((path, ...rest) => original(onDisk(path), ...rest), original)
  }
}
patch(fs)
patch(fs.promises)

for (const name of ['realpathSync', 'realpath']) {
  const original = fs[name]
  fs[name] = Object.assign(
    (path, ...rest) => (isInside(path) ? path : original(path, ...rest)),
    original,
  )
}
const realpath = fs.promises.realpath
fs.promises.realpath = async (path, ...rest) => (isInside(path) ? path : realpath(path, ...rest))

Module._resolveFilename = (request, parent, ...rest) => {
  const from = parent?.filename
  if (!isInside(from) && !isInside(request)) return real.resolve(request, parent, ...rest)
  const filename = packed(from)
  const seen = from && { ...parent, filename, paths: Module._nodeModulePaths(dirname(filename)) }
  return shown(real.resolve(packed(request), seen, ...rest))
}

process.dlopen = (module, path, ...rest) =>
  real.dlopen(
    module,
    isInside(path) && real.existsSync(unpacked(path)) ? unpacked(path) : path,
    ...rest,
  )
