/**
 * Published figures beside which a run's stand. Of segmentation they are with the methods (ts/methods); here are those
 * of regions and detection.
 */
import type { DatasetName } from '../methods/benchmarks.js'
import { METHODS, type MethodName } from '../methods/list.js'
import { CLIP_B, EVA_B, type Method } from '../methods/method.js'
import type { EvaluationSettings, PublishedFigure } from './result.js'

type Mark = PublishedFigure['mark']

/** A row of a table of regions, in per cent; top-1 and top-5 where both were published. */
interface RegionRow {
  readonly method: 'clipself' | 'declip' | 'unrefined'
  readonly backbone: string
  readonly mark: Mark
  readonly source: string
  /** Side in pixels of the square that pictures were fitted into. */
  readonly size: number
  /** Figure by its name in a result. */
  readonly figures: Readonly<Record<string, number>>
}

/** The side is not in the tables of CLIPSelf's paper; it is the one of its test scripts. */
const CLIPSELF = 'CLIPSelf paper, table of dense representations, as recalled'

const boxesAndMasks = (
  boxes: readonly [number, number],
  things: readonly [number, number],
  stuff: readonly [number, number],
) => ({
  'boxes.thing.macc1': boxes[0],
  'boxes.thing.macc5': boxes[1],
  'masks.thing.macc1': things[0],
  'masks.thing.macc5': things[1],
  'masks.stuff.macc1': stuff[0],
  'masks.stuff.macc5': stuff[1],
})

/** DeCLIP's tables do not say whether they are of boxes or masks; its figure suggests boxes. */
const thingAndStuff = (thing: number, stuff: number) => ({
  'boxes.thing.macc1': thing,
  'boxes.stuff.macc1': stuff,
})

const declipRow = (
  table: string,
  size: number,
  thing: number,
  stuff: number,
  backbone: string = EVA_B,
): RegionRow => ({
  method: 'declip',
  backbone,
  mark: 'P',
  source: `DeCLIP, ${table}; whether of boxes or masks it does not say`,
  size,
  figures: thingAndStuff(thing, stuff),
})

/** Recognition of the regions of COCO panoptic val2017, 133 classes. */
export const REGION_ROWS: readonly RegionRow[] = Object.freeze([
  {
    method: 'unrefined',
    backbone: EVA_B,
    mark: 'M',
    source: CLIPSELF,
    size: 1024,
    figures: boxesAndMasks([18.2, 33.2], [20.6, 36.5], [18.4, 43.5]),
  },
  {
    method: 'clipself',
    backbone: `${EVA_B}, image patches`,
    mark: 'M',
    source: CLIPSELF,
    size: 1024,
    figures: boxesAndMasks([72.1, 91.3], [74.4, 91.8], [46.8, 80.2]),
  },
  {
    method: 'clipself',
    backbone: `${EVA_B}, region proposals`,
    mark: 'M',
    source: CLIPSELF,
    size: 1024,
    figures: boxesAndMasks([74.0, 92.6], [76.3, 92.8], [36.8, 75.0]),
  },
  {
    method: 'clipself',
    backbone: EVA_B,
    mark: 'P',
    source: 'DeCLIP, table 1, self-distillation; whether of boxes or masks it does not say',
    size: 1024,
    figures: thingAndStuff(69.5, 44.6),
  },
  declipRow('table 6, DINO B/8', 1024, 68.4, 49.4),
  declipRow('table 6, DINO B/16', 1024, 67.6, 47.4),
  declipRow('table 6, SAM B/16', 1024, 75.0, 51.8),
  declipRow('table 6, SAM L/16', 1024, 76.8, 52.6),
  declipRow('table 6, DINOv2 B/14', 1024, 77.2, 52.5),
  declipRow('table 6, DINOv2 L/14', 1024, 77.6, 53.1),
  declipRow('table 7, context from k', 1024, 76.5, 51.0),
  declipRow('table 7, context from q and k', 1024, 77.3, 53.8),
  declipRow('table 8, 3 blocks trained', 560, 62.7, 47.0),
  declipRow('table 8, 6 blocks trained', 560, 67.1, 47.8),
  declipRow('table 8, 9 blocks trained', 560, 70.7, 50.5),
  declipRow('table 12, OpenAI', 560, 65.0, 38.8, CLIP_B),
  declipRow('table 11, weight 0.1', 560, 72.4, 50.6),
  declipRow('table 11, weight 0.2', 560, 72.4, 51.0),
  declipRow('table 11, weight 0.25', 560, 72.2, 51.3),
  declipRow('table 11, weight 0.3', 560, 71.9, 51.4),
] satisfies RegionRow[])

/** A row of a table of detection, in per cent. */
interface DetectionRow {
  readonly detector: string
  readonly backbone: string
  readonly figures: Readonly<Record<string, number>>
  /** By figure, where they differ; else of all. */
  readonly mark: Mark | Readonly<Record<string, Mark>>
}

const coco = (novel: number, base?: number, all?: number) => ({
  'ap50.novel': novel,
  ...(base !== undefined && { 'ap50.base': base }),
  ...(all !== undefined && { 'ap50.all': all }),
})

const lvis = (rare?: number, common?: number, frequent?: number, all?: number) => ({
  ...(rare !== undefined && { rare }),
  ...(common !== undefined && { common }),
  ...(frequent !== undefined && { frequent }),
  ...(all !== undefined && { ap: all }),
})

const F_VIT = 'F-ViT'
const [B, L] = ['ViT-B/16', 'ViT-L/14']
/** Novel classes' figures read in the authors' repository, the others in DeCLIP's paper. */
const NOVEL_R = { 'ap50.novel': 'R', 'ap50.base': 'P', 'ap50.all': 'P' } as const
const RARE_R = { rare: 'R', common: 'P', frequent: 'P', ap: 'P' } as const

/**
 * Open-vocabulary detection by detectors with heads of their own: AP50 on COCO, the AP of masks on LVIS. None is of a
 * model whose objects are regions of its labels.
 */
export const DETECTION_ROWS: Readonly<Record<'coco-ov' | 'lvis', readonly DetectionRow[]>> =
  Object.freeze({
    'coco-ov': [
      { detector: `${F_VIT}, unrefined`, backbone: B, figures: coco(17.5, 41.0, 34.9), mark: 'M' },
      { detector: `${F_VIT}, unrefined`, backbone: L, figures: coco(24.7, 53.6, 46.0), mark: 'M' },
      { detector: `${F_VIT}, CLIPSelf patches`, backbone: B, figures: coco(33.6), mark: 'R' },
      {
        detector: `${F_VIT}, CLIPSelf proposals`,
        backbone: B,
        figures: coco(37.6, 54.9, 50.4),
        mark: NOVEL_R,
      },
      { detector: `${F_VIT}, RegionCLIP`, backbone: B, figures: coco(34.4), mark: 'R' },
      { detector: `${F_VIT}, CLIPSelf patches`, backbone: L, figures: coco(38.4), mark: 'R' },
      {
        detector: `${F_VIT}, CLIPSelf proposals`,
        backbone: L,
        figures: coco(44.3, 64.1, 59.0),
        mark: NOVEL_R,
      },
      { detector: `${F_VIT}, RegionCLIP`, backbone: L, figures: coco(38.7), mark: 'R' },
      { detector: `${F_VIT}, DeCLIP`, backbone: B, figures: coco(41.1, 57.8, 53.5), mark: 'P' },
      { detector: `${F_VIT}, DeCLIP`, backbone: L, figures: coco(46.2, 65.2, 60.3), mark: 'P' },
      { detector: 'OV-DQUO', backbone: 'RN50', figures: coco(39.2), mark: 'P' },
      { detector: 'OV-DQUO', backbone: 'RN50x4', figures: coco(45.6), mark: 'P' },
      { detector: 'OV-DQUO, DeCLIP', backbone: B, figures: coco(46.1, 56.3, 53.6), mark: 'P' },
      { detector: 'OV-DQUO, DeCLIP', backbone: L, figures: coco(48.3, 60.0, 56.9), mark: 'P' },
    ],
    lvis: [
      {
        detector: `${F_VIT}, unrefined`,
        backbone: B,
        figures: lvis(11.5, 12.3, 20.6, 15.4),
        mark: 'M',
      },
      {
        detector: `${F_VIT}, unrefined`,
        backbone: L,
        figures: lvis(24.2, 27.6, 32.9, 28.7),
        mark: 'M',
      },
      {
        detector: `${F_VIT}, CLIPSelf patches`,
        backbone: B,
        figures: lvis(25.3, 21.8, 29.1, 25.2),
        mark: RARE_R,
      },
      {
        detector: `${F_VIT}, CLIPSelf patches`,
        backbone: L,
        figures: lvis(34.9, 34.6, 35.6, 35.1),
        mark: RARE_R,
      },
      {
        detector: `${F_VIT}, DeCLIP`,
        backbone: B,
        figures: lvis(26.8, 22.4, 29.8, 26.0),
        mark: 'P',
      },
      {
        detector: `${F_VIT}, DeCLIP`,
        backbone: L,
        figures: lvis(37.2, 35.2, 36.5, 36.0),
        mark: 'P',
      },
      { detector: 'OV-DQUO, CLIPSelf', backbone: B, figures: lvis(29.7), mark: 'P' },
      { detector: 'OV-DQUO, CLIPSelf', backbone: L, figures: lvis(39.3), mark: 'P' },
      {
        detector: 'OV-DQUO, DeCLIP',
        backbone: B,
        figures: lvis(31.0, undefined, undefined, 27.7),
        mark: 'P',
      },
      {
        detector: 'OV-DQUO, DeCLIP',
        backbone: L,
        figures: lvis(41.5, undefined, undefined, 34.6),
        mark: 'P',
      },
    ],
  } satisfies Record<string, DetectionRow[]>)

/** The figures that were published for a run's data set, task and method. @internal */
export function publishedFor(settings: EvaluationSettings): PublishedFigure[] {
  const { task, dataset, method } = settings
  if (task === 'regions') return dataset === 'coco-panoptic' ? regionFigures(settings) : []
  if (task === 'detection') return detectionFigures(settings)
  if (method === null || !Object.hasOwn(METHODS, method)) return []
  const { datasets, source }: Method = METHODS[method as MethodName]
  const figures = datasets[dataset as DatasetName]?.published ?? []
  return figures.map(({ mIoU, backbone, mark }) => ({
    figure: 'miou',
    value: fraction(mIoU),
    method,
    backbone,
    mark,
    source,
  }))
}

/** Rows of the same size for the kind of training that the checkpoint had. */
function regionFigures({ model, values }: EvaluationSettings): PublishedFigure[] {
  const method = methodOf(model.denseMode)
  const { size } = values
  return REGION_ROWS.filter(row => row.method === method && row.size === size).flatMap(
    ({ figures, backbone, mark, source }) =>
      Object.entries(figures).map(([figure, percent]) => ({
        figure,
        value: fraction(percent),
        method,
        backbone,
        mark,
        source,
      })),
  )
}

function methodOf(denseMode: string | null): RegionRow['method'] {
  if (denseMode === null) return 'unrefined'
  return denseMode === 'maskclip' ? 'clipself' : 'declip'
}

function detectionFigures({ dataset }: EvaluationSettings): PublishedFigure[] {
  const rows = Object.hasOwn(DETECTION_ROWS, dataset)
    ? DETECTION_ROWS[dataset as keyof typeof DETECTION_ROWS]
    : []
  return rows.flatMap(({ detector, backbone, figures, mark }) =>
    Object.entries(figures).map(([figure, percent]) => ({
      figure,
      value: fraction(percent),
      method: detector,
      backbone,
      mark: typeof mark === 'string' ? mark : (mark[figure] as Mark),
      source: 'detectors with heads of their own, in DeCLIP, tables of OV-COCO and OV-LVIS',
    })),
  )
}

/** Of per cent, without the noise of a division: 64.07 is 0.6407. */
function fraction(percent: number): number {
  return Number((percent / 100).toFixed(6))
}
