/** An evaluation's result as people read it. */
import type {
  ClassScore,
  DetectionResult,
  EvaluationResult,
  PublishedFigure,
  RegionsResult,
  SemanticResult,
} from '../evaluate/result.js'
import { MIOU_CONVENTIONS, type MiouConvention } from '../methods/benchmarks.js'
import { table } from './shared.js'

/** What marks of published figures mean. */
const MARKS = {
  P: "read in DeCLIP's paper",
  R: "read in the authors' repository",
  S: 'read in another publication',
  M: 'recalled, not verified: no target',
} as const

/** What mIoU is the mean over. */
const CONVENTIONS = {
  mmsegmentation: 'mmsegmentation: a class that is only predicted counts as 0',
  detectron2: 'detectron2: of the classes in the truth',
} as const

/** The figures, those of every class, and what was published beside them. */
export function describeResult(
  result: EvaluationResult,
  { out }: { out?: string | undefined } = {},
): string {
  const { pictures, failed, missing, settings, dataset } = result
  const counts = [
    `${pictures} pictures`,
    ...(failed.length > 0 ? [`${failed.length} failed`] : []),
    ...(missing.length > 0 ? [`${missing.length} missing`] : []),
  ]
  const method = settings.method === null ? '' : `, method ${settings.method}`
  const lines = [`${dataset}, ${result.task}${method}: ${counts.join(', ')}`]
  if (result.task === 'semantic') lines.push(...semanticLines(result))
  if (result.task === 'regions') lines.push(...regionLines(result))
  if (result.task === 'detection') lines.push(...detectionLines(result))
  lines.push(...publishedLines(result))
  if (result.notes.length > 0) lines.push('', ...result.notes.map(note => `  ${note}`))
  if (out !== undefined) lines.push('', `  results in ${out}`)
  return lines.join('\n')
}

function semanticLines({ classes, miou, mious, macc, aacc, settings }: SemanticResult): string[] {
  const { convention } = settings.values
  const [other] = MIOU_CONVENTIONS.filter(one => one !== convention) as [MiouConvention]
  const pixels = classes.reduce((sum, one) => sum + one.pixels, 0)
  const width = Math.max(5, ...classes.map(({ name }) => name.length))
  const row = ({ name, iou, acc, pixels: own }: ClassScore) =>
    `  ${name.padEnd(width)}  ${percent(iou)}  ${percent(acc)}  ${percent(pixels > 0 ? own / pixels : null)}`
  return [
    '',
    `  ${'class'.padEnd(width)}     IoU     Acc  pixels`,
    ...classes.map(row),
    '',
    table([
      ['mIoU', `${percent(miou)}  (${CONVENTIONS[convention as MiouConvention]})`],
      ['', `${percent(mious[other])}  (${CONVENTIONS[other]})`],
      ['mAcc', percent(macc)],
      ['aAcc', percent(aacc)],
    ]),
  ]
}

function regionLines(result: RegionsResult): string[] {
  const row = (name: string, { macc1, macc5 }: RegionsResult['boxes']['thing']) =>
    `  ${name.padEnd(14)}  ${percent(macc1)}  ${percent(macc5)}`
  return [
    '',
    `  ${'mAcc'.padEnd(14)}   top-1   top-5   (${result.regions} regions)`,
    ...(['boxes', 'masks', 'crops'] as const).flatMap(pool => [
      row(`${pool}, things`, result[pool].thing),
      row(`${pool}, stuff`, result[pool].stuff),
    ]),
  ]
}

function detectionLines(result: DetectionResult): string[] {
  const { kind, ap, ap50, ap75, small, medium, large, rare, common, frequent } = result
  const rows: (readonly [string, number | null])[] = [
    [`AP (${kind === 'bbox' ? 'boxes' : 'masks'})`, ap],
    ['AP50', ap50.all],
    ['AP50 novel', ap50.novel],
    ['AP50 base', ap50.base],
    ['AP75', ap75],
    ['AP small', small],
    ['AP medium', medium],
    ['AP large', large],
    ['AP rare', rare],
    ['AP common', common],
    ['AP frequent', frequent],
  ]
  const found = rows.flatMap(([name, value]) =>
    value === null ? [] : [[name, percent(value)] as const],
  )
  return ['', found.length > 0 ? table(found) : '  no objects, no AP']
}

function publishedLines(result: EvaluationResult): string[] {
  const { published, settings, pictures } = result
  if (published.length === 0) return []
  const { changed, limit } = settings
  const differs = [
    ...(changed.length > 0 ? [`its own ${changed.join(', ')}`] : []),
    ...(limit === null ? [] : [`${pictures} pictures only`]),
  ]
  const note = differs.length > 0 ? `; this run has ${differs.join(' and ')}` : ''
  return [
    '',
    `  published${note}:`,
    table(
      published.map(one => [
        `${one.figure}, ${one.method}, ${one.backbone}`,
        `${percent(one.value)}  here ${percent(figureOf(result, one))}  (${MARKS[one.mark]})`,
      ]),
    ),
  ]
}

/** The measured figure that stands beside a published one. */
function figureOf(result: EvaluationResult, { figure }: PublishedFigure): number | null {
  let value: unknown = result
  for (const name of figure.split('.')) value = (value as Record<string, unknown>)?.[name]
  return typeof value === 'number' ? value : null
}

/** '64.07' of 0.6407, right-aligned; '–' for nothing. */
function percent(share: number | null): string {
  return (share === null ? '–' : (share * 100).toFixed(2)).padStart(6)
}
