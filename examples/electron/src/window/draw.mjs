/** Draws a result (Segmentation.toTransferable) on a canvas; no package is needed for it. */

const OPACITY = 0.55

/** The picture under the colors of its classes. */
export function drawOverlay(canvas, bitmap, { labels, width, height, colors }) {
  canvas.width = width
  canvas.height = height
  const context = canvas.getContext('2d', { willReadFrequently: true })
  context.drawImage(bitmap, 0, 0, width, height)
  const pixels = context.getImageData(0, 0, width, height)
  const { data } = pixels
  for (let i = 0; i < labels.length; i++) {
    const color = colors[labels[i]]
    if (!color) continue
    for (let c = 0; c < 3; c++) data[4 * i + c] += OPACITY * (color[c] - data[4 * i + c])
  }
  context.putImageData(pixels, 0, 0)
}

/** Fills a list with the classes that are there, the largest first. */
export function drawLegend(list, { classes, areas, colors }) {
  const found = [...classes.keys()].filter(i => areas[i] > 0).sort((a, b) => areas[b] - areas[a])
  list.replaceChildren(
    ...found.map(i => {
      const item = document.createElement('li')
      const swatch = document.createElement('canvas')
      swatch.width = swatch.height = 1
      const context = swatch.getContext('2d')
      context.fillStyle = colors[i] ? `rgb(${colors[i].join()})` : '#d0d4d8'
      context.fillRect(0, 0, 1, 1)
      item.append(swatch, `${classes[i]} ${(100 * areas[i]).toFixed(1)} %`)
      return item
    }),
  )
}
