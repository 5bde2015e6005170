import { DeclipError } from '../errors.js'
import { vocColor } from '../result/palette.js'
import { encodeLabelPng } from '../result/png.js'
import type { Segmentation } from '../result/segmentation.js'
import { type Format, type FormatSettings, lines, stem } from './format.js'

/** With more classes than this the value that means 'not counted' would be one of them. */
const MOST_IN_8_BITS = 255

/**
 * An index PNG per picture and the list of classes: the plain data set that `declip eval --dataset folder`
 * reads. The value of a pixel is the class's place in classes.txt, from 0 on.
 */
export const masks: Format = {
  text: 'index PNGs and classes.txt (declip eval --dataset folder, MMSegmentation, Pillow)',
  pictures: 'copy',
  usesStems: true,
  placeOf: file => `images/${file}`,
  async write({ file, segmentation }) {
    return { files: [{ path: `labels/${stem(file)}.png`, bytes: await encode(segmentation) }] }
  },
  finish: (_, settings) => [{ path: 'classes.txt', text: lines(...classLines(settings)) }],
}

async function encode({ labels, classes }: Segmentation): Promise<Uint8Array> {
  const palette = Array.from({ length: 256 }, (_, i) => vocColor(i))
  if (labels.dtype !== 'uint8' || classes.length <= MOST_IN_8_BITS) {
    return encodeLabelPng(labels.native, palette)
  }
  using wide = await labels.to({ dtype: 'uint16' })
  return await encodeLabelPng(wide.native, palette)
}

/**
 * A line per class: its name and synonyms, which a comma separates.
 *
 * @throws DeclipError ERR_DECLIP_INVALID_ARG for words that cannot be told apart there
 */
export function classLines({ classes }: Pick<FormatSettings, 'classes'>): string[] {
  return classes.map(({ words }) =>
    words
      .map(word => {
        const plain = word.replaceAll(/\s+/g, ' ').trim()
        if (!/[,;]/.test(plain)) return plain
        throw new DeclipError(
          'ERR_DECLIP_INVALID_ARG',
          `A line of classes.txt has its words between commas, so the word '${plain}' cannot stand in it; choose another word, or another format than masks.`,
        )
      })
      .join(', '),
  )
}
