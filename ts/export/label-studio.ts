import { overlayColor, type Rgb } from '../result/palette.js'
import type { Annotation } from './annotations.js'
import { brush } from './brush.js'
import {
  type ExportedSet,
  type Format,
  type FormatSettings,
  foreground,
  lines,
  round,
} from './format.js'

/** Names of the tags in the labelling interface. */
const [FROM, TO] = ['tag', 'image']

/**
 * Tasks with predictions for Label Studio, brush masks in its own encoding, and the labelling interface that
 * they fit. Every mask is kept to the pixel, with holes and parts.
 */
export const labelStudio: Format = {
  text: 'tasks with predictions as brush masks, and the labelling interface (Label Studio)',
  pictures: 'none',
  usesStems: false,
  placeOf: file => `images/${file}`,
  async write({ width, height, annotations }, settings) {
    const names = new Map(foreground(settings).map(({ label, name }) => [label, name]))
    const result: unknown[] = []
    for (const [i, annotation] of annotations.entries()) {
      result.push({
        id: `object-${i + 1}`,
        from_name: FROM,
        to_name: TO,
        type: 'brushlabels',
        original_width: width,
        original_height: height,
        image_rotation: 0,
        score: round(annotation.score),
        value: {
          format: 'rle',
          rle: await brush(annotation.counts, width, height, annotation.box),
          brushlabels: [names.get(annotation.label)],
        },
      })
    }
    return { files: [], data: { score: meanScore(annotations), result } }
  },
  finish: (set, settings) => [
    { path: 'tasks.json', text: tasks(set, settings) },
    { path: 'label-config.xml', text: lines(...config(settings)) },
  ],
}

/** By which Label Studio sorts tasks: the mean of the annotations' scores, 0 without any. */
function meanScore(annotations: readonly Annotation[]): number {
  const sum = annotations.reduce((total, { score }) => total + score, 0)
  return annotations.length === 0 ? 0 : round(sum / annotations.length)
}

async function* tasks(
  set: ExportedSet,
  { prefix, madeBy }: FormatSettings,
): AsyncGenerator<string, void, undefined> {
  yield '['
  let count = 0
  for await (const { file, data } of set.records()) {
    const address = prefix + file.split('/').map(encodeURIComponent).join('/')
    const prediction = { model_version: madeBy, ...(data as object) }
    yield `${count++ > 0 ? ',' : ''}\n${JSON.stringify({ data: { [TO]: address }, predictions: [prediction] })}`
  }
  yield '\n]\n'
}

function config(settings: FormatSettings): string[] {
  return [
    '<View>',
    `  <Image name="${TO}" value="$${TO}" zoom="true"/>`,
    `  <BrushLabels name="${FROM}" toName="${TO}">`,
    ...foreground(settings).map(
      ({ name }, i) => `    <Label value="${escaped(name)}" background="${hex(overlayColor(i))}"/>`,
    ),
    '  </BrushLabels>',
    '</View>',
  ]
}

/** What an attribute's value may not hold, as character references; XML 1.0 has no control characters. */
function escaped(name: string): string {
  return name
    .replaceAll(/(?![\t\n\r])[\p{Cc}\p{Cs}\ufffe\uffff]/gu, ' ')
    .replaceAll(/[&<>"'\t\n\r]/g, character => `&#${character.charCodeAt(0)};`)
}

function hex(color: Rgb): string {
  return `#${Buffer.from(color).toString('hex')}`
}
