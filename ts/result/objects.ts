import type { CallOptions } from '../base/call.js'
import { inTurns } from '../base/event-loop.js'
import { checkFields, field, flag, kind, whole } from '../base/field.js'
import type { NativeFoundObjects, NativePolygons } from '../engine/addon-types.js'
import type { Point, Polygon, Ring } from '../masks/polygons.js'
import type { Rle } from '../masks/rle.js'

/** See ObjectOptions. @internal */
export const OBJECT_FIELDS = {
  minArea: field(whole(0), 'Pixels that an object has at least', '0'),
  connectivity: field(
    kind<4 | 8>('4 or 8', value => value === 4 || value === 8),
    'Neighbours of a pixel: 4 at its sides, or also those at its corners',
    '8',
  ),
  limit: field(whole(1, 2 ** 31 - 1), 'Most objects, the best ones', 'all, at most a million'),
  compressed: field(flag, "Counts of run lengths as pycocotools' string", 'false'),
} as const

/** Options of {@link Segmentation.objects}. */
export interface ObjectOptions extends Pick<CallOptions, 'signal'> {
  /** Pixels that an object has at least. Default 0. */
  minArea?: number | undefined
  /** Whether pixels belong together that touch at their sides (4) or also at a corner (8, the default). */
  connectivity?: 4 | 8 | undefined
  /** Most objects, the best ones. Default: all; more than a million are refused then. */
  limit?: number | undefined
  /** Counts of the run lengths as pycocotools' string instead of numbers. Default false. */
  compressed?: boolean | undefined
}

/** A connected region of one class. */
export interface SegmentedObject {
  /** Name of the class. */
  readonly class: string
  /** Of the class in `classes`. */
  readonly index: number
  /** Mean probability of the class (softmax over all words) over the object's pixels, 0 to 1. */
  readonly score: number
  /** x1, y1, x2, y2 in pixels: the left, top, right and bottom sides. */
  readonly box: readonly [x1: number, y1: number, x2: number, y2: number]
  /** In pixels. */
  readonly area: number
  readonly rle: Rle
  /**
   * The outline along the pixels' sides: one outer ring, and holes. Where parts of the object touch at a corner alone,
   * rings pass that corner more than once; `polygons` has the parts.
   */
  readonly polygon: Polygon
  /** The parts that are joined at their sides: polygons whose rings touch neither themselves nor each other's insides. */
  readonly polygons: readonly Polygon[]
}

/** What objects share: the flat arrays that they are cut from. */
interface Shared {
  readonly native: NativeFoundObjects
  readonly size: readonly [height: number, width: number]
  readonly compressed: boolean
}

/** Run lengths and polygons are made of the flat arrays when they are asked for. */
class CutObject implements SegmentedObject {
  readonly class: string
  readonly index: number
  readonly score: number
  readonly box: SegmentedObject['box']
  readonly area: number
  declare readonly rle: Rle
  declare readonly polygon: Polygon
  readonly #shared: Shared
  readonly #place: number
  #rle: Rle | undefined
  #polygon: Polygon | undefined
  #polygons: readonly Polygon[] | undefined

  // Own properties, as those of plain objects, which JSON, spreading and structured clones see.
  static readonly #lazy: PropertyDescriptorMap = {
    rle: {
      enumerable: true,
      get(this: CutObject) {
        this.#rle ??= cutRle(this.#shared, this.#place)
        return this.#rle
      },
    },
    polygon: {
      enumerable: true,
      get(this: CutObject) {
        this.#polygon ??=
          cutPolygons(this.#shared.native.joined, this.#place)[0] ?? this.polygons[0]
        return this.#polygon
      },
    },
  }

  constructor(shared: Shared, place: number, name: string) {
    const { labels, scores, areas, boxes } = shared.native
    this.class = name
    this.index = labels[place] as number
    this.score = scores[place] as number
    this.box = [...boxes.subarray(4 * place, 4 * place + 4)] as [number, number, number, number]
    this.area = areas[place] as number
    this.#shared = shared
    this.#place = place
    Object.defineProperties(this, CutObject.#lazy)
  }

  get polygons(): readonly Polygon[] {
    this.#polygons ??= cutPolygons(this.#shared.native.parts, this.#place)
    return this.#polygons
  }
}

/** The addon's objects, in turns of the event loop. @internal */
export async function toObjects(
  native: NativeFoundObjects,
  classes: readonly string[],
  size: Shared['size'],
  compressed: boolean,
): Promise<SegmentedObject[]> {
  const shared = { native, size, compressed }
  const objects: SegmentedObject[] = []
  await inTurns(native.labels, (label, i) =>
    objects.push(new CutObject(shared, i, classes[label] as string)),
  )
  return objects
}

/** @throws DeclipError ERR_DECLIP_INVALID_ARG @internal */
export function checkObjectOptions(options: ObjectOptions): void {
  checkFields(options, OBJECT_FIELDS)
}

function cutRle({ native, size, compressed }: Shared, place: number): Rle {
  const { counts, text, runEnds } = native
  const [begin, end] = span(runEnds, place)
  if (!compressed) return { size, counts: Array.from(counts.subarray(begin, end)) }
  const bytes = Buffer.from(text.buffer, text.byteOffset + begin, end - begin)
  return { size, counts: bytes.toString('latin1') }
}

function cutPolygons(lists: NativePolygons, place: number): Polygon[] {
  const { classEnds, polygonEnds } = lists
  const [begin, end] = span(classEnds, place)
  return Array.from({ length: end - begin }, (_, i) => {
    const [outer, after] = span(polygonEnds, begin + i)
    const holes = Array.from({ length: after - outer - 1 }, (_, k) => cutRing(lists, outer + 1 + k))
    return { outer: cutRing(lists, outer), holes }
  })
}

function cutRing({ corners, ringEnds }: NativePolygons, ring: number): Ring {
  const [begin, end] = span(ringEnds, ring)
  const points: Point[] = []
  for (let i = begin; i < end; i++) {
    points.push([corners[2 * i] as number, corners[2 * i + 1] as number])
  }
  return points
}

/** Where an item of a list begins and ends. */
function span(ends: Uint32Array, item: number): [begin: number, end: number] {
  return [item === 0 ? 0 : (ends[item - 1] as number), ends[item] as number]
}
