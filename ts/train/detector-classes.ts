import { NOVEL, OV_COCO } from '../methods/ov-coco.js'
import type { ResolvedConfig } from './config-fields.js'
import type { DetectorNeeds } from './data/sources/source.js'
import { readText } from './data/sources/text.js'

/**
 * What a detector takes of its data: which classes, which of them are novel, whether masks.
 *
 * @throws DeclipError ERR_DECLIP_IO for a file of names that cannot be read
 */
export async function detectorNeeds({
  classes,
  detector = {} as NonNullable<ResolvedConfig['detector']>,
}: ResolvedConfig): Promise<DetectorNeeds> {
  const given = detector.novel === undefined ? undefined : await namesOf(detector.novel)
  const rare = detector.variant === 'lvis'
  return {
    shapes: detector.masks ?? false,
    classes: classes === undefined ? undefined : await namesOf(classes),
    novel: all => {
      if (given) return given
      if (rare) return all.filter(({ frequency }) => frequency === 'r').map(({ name }) => name)
      const names = new Set(all.map(({ name }) => name))
      const isOvCoco = names.size === OV_COCO.length && OV_COCO.every(({ name }) => names.has(name))
      return isOvCoco ? [...NOVEL] : []
    },
  }
}

/** Names as they are given, or from a file with one a line. @throws DeclipError ERR_DECLIP_IO */
export async function namesOf(given: string | readonly string[]): Promise<readonly string[]> {
  if (typeof given !== 'string') return given
  const lines = (await readText(given)).split('\n').map(line => line.trim())
  return lines.filter(line => line !== '')
}
