import type { Rle } from '../../ts/masks/rle.js'

/** Pixels of a mask row by row, by the letter of COCO's format (maskApi.c, rleFrString and rleDecode). */
export function pixelsOf({ size: [height, width], counts }: Rle): number[] {
  const pixels = Array<number>(width * height).fill(0)
  let at = 0
  for (const [i, length] of listed(counts).entries()) {
    for (const end = at + length; at < end; at++) {
      pixels[(at % height) * width + Math.floor(at / height)] = i % 2
    }
  }
  if (at !== width * height) throw new Error(`${at} pixels instead of ${width * height}`)
  return pixels
}

function listed(counts: Rle['counts']): readonly number[] {
  if (typeof counts !== 'string') return counts
  const list: number[] = []
  for (let at = 0; at < counts.length; ) {
    let value = 0
    for (let k = 0; ; k++) {
      const code = counts.charCodeAt(at++) - 48
      value += (code & 31) * 2 ** (5 * k)
      if (code & 32) continue
      if (code & 16) value -= 2 ** (5 * (k + 1))
      break
    }
    if (list.length > 2) value += list[list.length - 2] as number
    list.push(value)
  }
  return list
}
