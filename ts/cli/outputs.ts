/** Where the files of `declip segment` go. */
import { stat } from 'node:fs/promises'
import { basename, extname, join, parse, resolve, sep } from 'node:path'
import { usage } from './shared.js'

/** Files to write for one picture. */
export interface Outputs {
  mask?: string
  overlay?: string
  logits?: string
}

/** --out, --overlay and --logits as given. */
export interface OutputFlags {
  out?: string
  overlay?: string
  logits?: string
}

const KINDS = [
  { key: 'mask', flag: 'out', extension: '.png', inFolder: '{name}.png' },
  { key: 'overlay', flag: 'overlay', extension: '.png', inFolder: '{name}-overlay.png' },
  { key: 'logits', flag: 'logits', extension: '.safetensors', inFolder: '{name}.safetensors' },
] as const

/**
 * The files of every picture. A target is a file name, a pattern in which {name} stands for the
 * picture's name without extension, or a folder: one that exists, ends in a slash, or has no
 * extension.
 *
 * @throws DeclipError ERR_DECLIP_INVALID_ARG where two files would have one name, a picture would be
 * overwritten, or the extension is not that of the format
 */
export async function planOutputs(
  images: readonly string[],
  flags: OutputFlags,
): Promise<Outputs[]> {
  const plan: Outputs[] = images.map(() => ({}))
  const taken = new Map(images.map(image => [resolve(image), 'a picture that is read']))
  for (const { key, flag, extension, inFolder } of KINDS) {
    const target = flags[flag]
    if (target === undefined) continue
    const pattern = (await isFolder(target)) ? join(target, inFolder) : target
    if (extname(pattern) !== extension) {
      throw usage(`--${flag} writes ${extension} files, received '${target}'.`)
    }
    if (images.length > 1 && !pattern.includes('{name}')) {
      throw usage(
        `--${flag} must be a folder or contain {name} when there are several pictures, received '${target}'.`,
      )
    }
    images.forEach((image, i) => {
      const path = pattern.replaceAll('{name}', () => parse(image).name)
      const holder = taken.get(resolve(path))
      if (holder) {
        throw usage(`--${flag} of '${image}' would be ${path}, which is ${holder}; choose another.`)
      }
      taken.set(resolve(path), `the --${flag} of '${image}'`)
      const outputs = plan[i]
      if (outputs) outputs[key] = path
    })
  }
  return plan
}

async function isFolder(target: string): Promise<boolean> {
  if (target.endsWith('/') || target.endsWith(sep)) return true
  return stat(target).then(
    found => found.isDirectory(),
    () => extname(basename(target)) === '',
  )
}
