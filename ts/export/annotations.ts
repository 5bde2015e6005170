import type { CallOptions } from '../base/call.js'
import { leastArea } from '../detect/options.js'
import type { Polygon } from '../masks/polygons.js'
import type { SegmentedObject } from '../result/objects.js'
import type { Segmentation } from '../result/segmentation.js'

/** One annotated thing of a picture, in pixels of the upright picture. */
export interface Annotation {
  /** Index of its class among the segmentation's. */
  readonly label: number
  /** Mean probability of the class over its pixels, 0 to 1. */
  readonly score: number
  readonly box: readonly [x1: number, y1: number, x2: number, y2: number]
  /** Number of pixels. */
  readonly area: number
  /** Run lengths down the columns, outside first, as in COCO's uncompressed encoding. */
  readonly counts: readonly number[]
  /** The parts that are joined at their sides: simple outlines along the pixels' sides. */
  readonly polygons: readonly Polygon[]
}

/** What becomes an annotation. */
export interface AnnotateOptions {
  /** One annotation per class instead of one per object. */
  readonly semantic: boolean
  /** Objects of fewer pixels are left out; null for a five-hundredth of the picture's. */
  readonly minArea: number | null
}

/** The annotations of a picture, by class and then in the order of its objects. */
export async function annotate(
  segmentation: Segmentation,
  { semantic, minArea }: AnnotateOptions,
  { signal }: Pick<CallOptions, 'signal'>,
): Promise<Annotation[]> {
  const { width, height } = segmentation
  const objects = await segmentation.objects({
    minArea: minArea ?? leastArea(width, height),
    signal,
  })
  const annotations = objects.map(toAnnotation)
  if (!semantic) return annotations
  const classes = new Map<number, Annotation[]>()
  for (const annotation of annotations) {
    const others = classes.get(annotation.label)
    if (others) others.push(annotation)
    else classes.set(annotation.label, [annotation])
  }
  return [...classes.values()].map(unite).sort((a, b) => a.label - b.label)
}

function toAnnotation({ index, score, box, area, rle, polygons }: SegmentedObject): Annotation {
  return { label: index, score, box, area, counts: rle.counts as readonly number[], polygons }
}

/** Objects of one class as one annotation; its score is their mean by area. */
export function unite(parts: readonly Annotation[]): Annotation {
  const [first] = parts as readonly [Annotation]
  if (parts.length === 1) return first
  const area = parts.reduce((sum, part) => sum + part.area, 0)
  const least = (at: 0 | 1) => Math.min(...parts.map(({ box }) => box[at]))
  const most = (at: 2 | 3) => Math.max(...parts.map(({ box }) => box[at]))
  return {
    label: first.label,
    score: parts.reduce((sum, part) => sum + part.score * part.area, 0) / area,
    box: [least(0), least(1), most(2), most(3)],
    area,
    counts: uniteCounts(parts.map(({ counts }) => counts)),
    polygons: parts.flatMap(({ polygons }) => polygons),
  }
}

/** The runs of masks that have no pixel in common, of one picture. */
function uniteCounts(masks: readonly (readonly number[])[]): number[] {
  const runs: [start: number, end: number][] = []
  let total = 0
  for (const counts of masks) {
    let at = 0
    counts.forEach((length, i) => {
      if (i % 2 === 1 && length > 0) runs.push([at, at + length])
      at += length
    })
    total = at
  }
  runs.sort(([a], [b]) => a - b)
  const counts: number[] = []
  let end = 0
  for (const [start, stop] of runs) {
    if (counts.length > 0 && start === end) counts[counts.length - 1] = last(counts) + stop - start
    else counts.push(start - end, stop - start)
    end = stop
  }
  if (end < total || counts.length === 0) counts.push(total - end)
  return counts
}

function last(values: readonly number[]): number {
  return values[values.length - 1] as number
}
