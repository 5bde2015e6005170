import type { Polygon, Ring } from '../masks/polygons.js'
import { overlayColor } from '../result/palette.js'
import { type Format, foreground, round, stem } from './format.js'

/**
 * A FeatureCollection per picture (RFC 7946's form, with pixels for coordinates): x to the right and y down from
 * the top left corner, along the pixels' sides. QuPath reads it with its classes and colours.
 */
export const geojson: Format = {
  text: 'a GeoJSON file per picture, in pixels with y pointing down (QuPath, shapely, GDAL)',
  pictures: 'none',
  usesStems: true,
  placeOf: file => `images/${file}`,
  async write({ file, width, height, annotations }, settings) {
    const place = new Map(foreground(settings).map(({ label, name }, i) => [label, { name, i }]))
    const features: string[] = []
    for (const { label, score, box, area, polygons } of annotations) {
      const { name = '', i = 0 } = place.get(label) ?? {}
      const feature = {
        type: 'Feature',
        geometry: geometryOf(polygons),
        properties: {
          objectType: 'annotation',
          classification: { name, color: overlayColor(i) },
          class: name,
          index: i,
          score: round(score),
          area,
          box,
        },
      }
      features.push(JSON.stringify(feature))
    }
    const head = JSON.stringify({ type: 'FeatureCollection', image: file, width, height })
    const text = `${head.slice(0, -1)},"features":[${features.map(f => `\n${f}`).join(',')}\n]}\n`
    return { files: [{ path: `${stem(file)}.geojson`, bytes: Buffer.from(text) }] }
  },
  finish: () => [],
}

function geometryOf(polygons: readonly Polygon[]): { type: string; coordinates: unknown } {
  const all = polygons.map(({ outer, holes }) => [outer, ...holes].map(closed))
  return all.length === 1
    ? { type: 'Polygon', coordinates: all[0] }
    : { type: 'MultiPolygon', coordinates: all }
}

/** The first point stands at the end again. */
function closed(ring: Ring): Ring {
  return [...ring, ring[0] as Ring[number]]
}
