/** Run lengths down the columns of the pixels that `holds`, outside first, by plain loops. */
export function runsOf(
  pixels: ArrayLike<number>,
  width: number,
  height: number,
  holds: (value: number) => boolean,
): number[] {
  const counts: number[] = []
  let [inside, run] = [false, 0]
  for (let x = 0; x < width; x++) {
    for (let y = 0; y < height; y++) {
      if (holds(pixels[y * width + x] as number) !== inside) {
        counts.push(run)
        run = 0
        inside = !inside
      }
      run += 1
    }
  }
  counts.push(run)
  return counts
}
