/**
 * The bundled models' weights: tracked compressed, since most rows of the model's token table are zeros, and unpacked
 * beside that, where the package has them.
 */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Failure, root } from './common.mjs'
import { pack, unpack, unpackedName, writeWhole } from './packed.mjs'

const FOLDER = join(root, 'models/words-tiny')
const PACKED = '.planes2.br'
/** In the format of `sha256sum --check`. */
const CHECKSUM = '.sha256'

const sha256 = bytes => createHash('sha256').update(bytes).digest('hex')

/** Unpacks the weights that are not there as they should be; says whether there were any. */
export function unpackBundledModel(folder = FOLDER) {
  const names = readdirSync(folder).filter(name => name.endsWith(PACKED))
  return names.map(name => unpackOne(join(folder, name))).includes(true)
}

function unpackOne(packed) {
  const target = unpackedName(packed)
  const checksum = `${target}${CHECKSUM}`
  const [wanted] = readFileSync(checksum, 'utf8').split(' ')
  if (existsSync(target) && sha256(readFileSync(target)) === wanted) return false
  let bytes
  try {
    bytes = unpack(readFileSync(packed), packed)
  } catch {}
  if (!bytes || sha256(bytes) !== wanted)
    throw new Failure(`${packed} is damaged or not the file of ${checksum}: check it out again.`)
  writeWhole(target, bytes)
  return true
}

/** Writes weights and all that is tracked of them. */
export function packBundledModel(bytes, folder = FOLDER, name = 'model.safetensors') {
  const packed = join(folder, `${name}${PACKED}`)
  writeWhole(packed, pack(bytes, packed))
  writeWhole(join(folder, `${name}${CHECKSUM}`), `${sha256(bytes)}  ${name}\n`)
  writeWhole(join(folder, name), bytes)
}
