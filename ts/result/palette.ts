/** Red, green and blue, each 0 to 255. */
export type Rgb = readonly [red: number, green: number, blue: number]

/**
 * The PASCAL VOC colour map: bit k of the index's three lowest bits goes to bit 7 of red, green and
 * blue, the next three to bit 6, and so on. As VOCcolormap of the VOC development kit.
 */
export function vocColor(index: number): Rgb {
  let [red, green, blue] = [0, 0, 0]
  for (let bit = 7, rest = index; rest > 0; bit--, rest >>= 3) {
    red |= (rest & 1) << bit
    green |= ((rest >> 1) & 1) << bit
    blue |= ((rest >> 2) & 1) << bit
  }
  return [red & 255, green & 255, blue & 255]
}

/**
 * Colours that are easy to tell apart, by Sasha Trubetskoy, "List of 20 Simple, Distinct Colors"
 * (2017); without grey, which stands for the background.
 */
const DISTINCT: readonly Rgb[] = [
  [230, 25, 75],
  [60, 180, 75],
  [255, 225, 25],
  [67, 99, 216],
  [245, 130, 49],
  [145, 30, 180],
  [66, 212, 244],
  [240, 50, 230],
  [191, 239, 69],
  [250, 190, 212],
  [70, 153, 144],
  [220, 190, 255],
  [154, 99, 36],
  [255, 250, 200],
  [128, 0, 0],
  [170, 255, 195],
  [128, 128, 0],
  [255, 216, 177],
  [0, 0, 117],
]

/** Colour of a class in an overlay; beyond the list, hues a golden angle apart. @internal */
export function overlayColor(index: number): Rgb {
  return DISTINCT[index] ?? fromHsl(index * 137.508, 0.7, 0.4 + 0.1 * (index % 4))
}

/** @param hue - degrees. */
function fromHsl(hue: number, saturation: number, lightness: number): Rgb {
  const chroma = saturation * Math.min(lightness, 1 - lightness)
  const channel = (offset: number) => {
    const k = (offset + hue / 30) % 12
    return Math.round(255 * (lightness - chroma * Math.max(-1, Math.min(k - 3, 9 - k, 1))))
  }
  return [channel(0), channel(8), channel(4)]
}
