/**
 * The bundled model's weights: tracked compressed, since most rows of its token table are zeros, and unpacked
 * beside that, where the package has them.
 */
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Failure, root } from './common.mjs'
import { pack, unpack, unpackedName, writeWhole } from './packed.mjs'

const FOLDER = join(root, 'models/words-tiny')
const PACKED = 'model.safetensors.planes2.br'
/** In the format of `sha256sum --check`. */
const CHECKSUM = 'model.safetensors.sha256'

const sha256 = bytes => createHash('sha256').update(bytes).digest('hex')

/** Unpacks the weights where they are not there as they should be; says whether it had to. */
export function unpackBundledModel(folder = FOLDER) {
  const packed = join(folder, PACKED)
  const target = unpackedName(packed)
  const [wanted] = readFileSync(join(folder, CHECKSUM), 'utf8').split(' ')
  if (existsSync(target) && sha256(readFileSync(target)) === wanted) return false
  let bytes
  try {
    bytes = unpack(readFileSync(packed), packed)
  } catch {}
  if (!bytes || sha256(bytes) !== wanted)
    throw new Failure(`${packed} is damaged or not the file of ${CHECKSUM}: check it out again.`)
  writeWhole(target, bytes)
  return true
}

/** Writes weights and all that is tracked of them. */
export function packBundledModel(bytes, folder = FOLDER) {
  const packed = join(folder, PACKED)
  writeWhole(packed, pack(bytes, packed))
  writeWhole(join(folder, CHECKSUM), `${sha256(bytes)}  ${unpackedName(PACKED)}\n`)
  writeWhole(unpackedName(packed), bytes)
}
