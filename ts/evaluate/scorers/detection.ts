import { invalid } from '../../errors.js'
import type { TrueObject } from '../datasets/dataset.js'
import { DetectionCounts, type FoundObject } from '../metrics/detection.js'
import type { ResultLine } from '../results-file.js'
import type { RunHeader } from '../run-folder.js'
import type { Figures, Scorer } from './scorer.js'

/** A picture's own score counts objects that were found with at least this score. */
const SURE = 0.3
/** Overlap with a true object from which one counts as found there. */
const OVERLAP = 0.5

/** Average precision of objects. @internal */
export class DetectionScorer implements Scorer {
  readonly #header: RunHeader
  readonly #kind: 'bbox' | 'segm'
  readonly #counts: DetectionCounts
  readonly #objects: number[]

  constructor(header: RunHeader) {
    const { kind, rule, maxDetections } = header.settings.values as {
      kind: 'bbox' | 'segm'
      rule: 'coco' | 'lvis'
      maxDetections: number
    }
    const classes = header.classes.map(one => ({ ...one, words: [] }))
    this.#header = header
    this.#kind = kind
    this.#counts = new DetectionCounts({ classes, kind, rule, maxDetections })
    this.#objects = classes.map(() => 0)
  }

  add(line: ResultLine, place: number): number | null {
    const { id, width, height, truth, found, negative, notExhaustive } = line
    if (!Array.isArray(truth)) throw invalid('truth', 'a list', truth)
    if (!Array.isArray(found)) throw invalid('found', 'a list', found)
    const size = [height, width] as [number, number]
    const objects = truth.map((row): TrueObject => {
      const [id, label, x, y, w, h, area, crowd, mask] = listOf(row)
      const box = [x, y, w, h] as unknown as TrueObject['box']
      return { id, label, box, area, crowd: crowd === 1, ...masked(mask, size) } as TrueObject
    })
    const detections = found.map((row): FoundObject => {
      const [label, score, x, y, w, h, mask] = listOf(row)
      const box = [x, y, w, h] as unknown as FoundObject['box']
      return { label, score, box, ...masked(mask, size) } as FoundObject
    })
    this.#counts.add({
      id,
      place,
      truth: {
        width: width as number,
        height: height as number,
        objects,
        negative: negative as number[] | undefined,
        notExhaustive: notExhaustive as number[] | undefined,
      },
      detections,
    })
    for (const { label } of objects) this.#objects[label] = (this.#objects[label] as number) + 1
    return ownScore(objects, detections)
  }

  async figures(signal?: AbortSignal): Promise<Figures> {
    const { splits, perClass, curves, ap50: _, ...means } = await this.#counts.compute({ signal })
    const classes = perClass.map((one, c) => {
      const { name = String(c), split, frequency } = this.#header.classes[c] ?? {}
      const objects = this.#objects[c] ?? 0
      return { name, ...(split && { split }), ...(frequency && { frequency }), ...one, objects }
    })
    return { figures: { kind: this.#kind, ...means, ap50: splits, classes }, curves }
  }
}

function listOf(row: unknown): unknown[] {
  if (Array.isArray(row)) return row
  throw invalid('truth and found', 'lists of lists', row)
}

function masked(mask: unknown, size: [number, number]) {
  return typeof mask === 'string' ? { mask: { size, counts: mask } } : {}
}

/** 2 hits / (true + found), each true object being hit once; null where there is neither. */
function ownScore(truth: readonly TrueObject[], found: readonly FoundObject[]): number | null {
  const open = new Set(truth.filter(({ crowd }) => !crowd))
  const sure = found.filter(({ score }) => score >= SURE)
  const all = open.size + sure.length
  let hits = 0
  for (const { label, box } of sure) {
    for (const object of open) {
      if (object.label !== label || overlap(object.box, box) < OVERLAP) continue
      open.delete(object)
      hits += 1
      break
    }
  }
  return all === 0 ? null : (2 * hits) / all
}

type Box = readonly [x: number, y: number, width: number, height: number]

function overlap([ax, ay, aw, ah]: Box, [bx, by, bw, bh]: Box): number {
  const width = Math.min(ax + aw, bx + bw) - Math.max(ax, bx)
  const height = Math.min(ay + ah, by + bh) - Math.max(ay, by)
  if (width <= 0 || height <= 0) return 0
  return (width * height) / (aw * ah + bw * bh - width * height)
}
