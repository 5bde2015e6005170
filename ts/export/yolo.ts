import type { Ring } from '../masks/polygons.js'
import { centreLines } from './centre-lines.js'
import { type ExportedSet, type Format, type FormatSettings, foreground, stem } from './format.js'
import { partOf } from './hash.js'

/** Digits behind the point: half a millionth of the largest side is a thirtieth of a pixel. */
const DIGITS = 6

/** A line of fewer points would be read as a box or not at all. */
const LEAST_POINTS = 3

/**
 * The folder that Ultralytics trains from. A line of a label file is the class and the centres of the outermost
 * pixels, as shares of width and height; cut off to whole pixels and filled by OpenCV's fillPoly(), as
 * Ultralytics does, they are the mask again.
 */
export const yolo: Format = {
  text: 'YOLO segmentation: images/, labels/*.txt, data.yaml (Ultralytics, Roboflow, CVAT, FiftyOne)',
  pictures: 'copy',
  usesStems: true,
  placeOf: (file, settings) => `images/${subsetOf(file, settings)}/${withoutImages(file)}`,
  async write({ file, width, height, annotations }, settings) {
    const index = new Map(foreground(settings).map(({ label }, i) => [label, i]))
    const rows: string[] = []
    for (const { label, polygons } of annotations) {
      for (const line of await centreLines(polygons)) {
        rows.push(`${index.get(label)} ${coordinates(line, width, height)}\n`)
      }
    }
    const path = `labels/${subsetOf(file, settings)}/${stem(withoutImages(file))}.txt`
    return { files: [{ path, bytes: Buffer.from(rows.join('')) }] }
  },
  finish: (set, settings) => [{ path: 'data.yaml', text: dataYaml(set, settings) }],
}

/** By a hash of the name: the same whichever pictures there are and on whatever machine. */
function subsetOf(file: string, { validation }: FormatSettings): 'train' | 'val' {
  return partOf(file) < validation ? 'val' : 'train'
}

/** Ultralytics finds a label by putting 'labels' in place of the last folder 'images' of a path. */
function withoutImages(file: string): string {
  return file.replace(/(^|\/)images(?=\/)/g, '$1images_')
}

function coordinates(line: Ring, width: number, height: number): string {
  const points = [...line]
  while (points.length < LEAST_POINTS) points.push(points[points.length - 1] as Ring[number])
  return points
    .map(([x, y]) => `${share((x + 0.5) / width)} ${share((y + 0.5) / height)}`)
    .join(' ')
}

function share(value: number): string {
  return String(Number(value.toFixed(DIGITS)))
}

async function* dataYaml(
  set: ExportedSet,
  settings: FormatSettings,
): AsyncGenerator<string, void, undefined> {
  let inVal = 0
  for await (const { file } of set.records()) inVal += Number(subsetOf(file, settings) === 'val')
  // A folder without pictures is an error there.
  const train = inVal < set.count || inVal === 0 ? 'train' : 'val'
  const val = inVal > 0 ? 'val' : 'train'
  yield `# Annotated by ${settings.madeBy.replaceAll(/\s/g, ' ')}: ${set.count - inVal} pictures to train, ${inVal} to validate.\n`
  yield `train: images/${train}\nval: images/${val}\n`
  const classes = foreground(settings)
  yield `nc: ${classes.length}\nnames:\n`
  for (const [i, { name }] of classes.entries()) yield `  ${i}: ${quoted(name)}\n`
}

/** A JSON string is a YAML one but for characters that YAML takes for line breaks or forbids. */
function quoted(name: string): string {
  return JSON.stringify(name).replace(
    /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g,
    character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
