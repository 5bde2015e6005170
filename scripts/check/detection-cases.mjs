/**
 * Data sets of annotated and found objects in COCO's form, small and awkward, from a seed: the same here and wherever
 * pycocotools reads them. What they have: equal scores, crowds, pictures without objects or detections, classes
 * without objects, boxes twice, boxes and masks of no area, more detections than count, overlaps that are exactly a
 * threshold, areas that are exactly a limit, boxes of fractions of pixels, masks as polygons and both kinds of RLE.
 */
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { root } from '../build/common.mjs'

const require = createRequire(import.meta.url)
const { countText } = require(join(root, 'dist/masks/count-text.js'))

/** Numbers from 0 to 1 (Mulberry32), and what is drawn with them. */
function draws(seed) {
  let state = Math.imul(seed + 1, 0x9e3779b1)
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
  return {
    next,
    chance: share => next() < share,
    /** A whole number, first..last. */
    whole: (first, last) => first + Math.floor(next() * (last - first + 1)),
    between: (low, high) => low + next() * (high - low),
    one: list => list[Math.floor(next() * list.length)],
  }
}

/**
 * A case: { kind, maxDets, dataset: { images, annotations, categories }, results }, all as COCO's files have them.
 */
export function detectionCase(seed) {
  const draw = draws(seed)
  const kind = seed % 2 === 0 ? 'bbox' : 'segm'
  return makeCase(draw, {
    kind,
    pictures: draw.whole(1, 6),
    classes: draw.whole(1, 5),
    side: kind === 'bbox' ? [40, 400] : [12, 150],
    objects: () => draw.whole(0, 7),
    strays: () => draw.whole(0, 5),
    scores: draw.one(['fine', 'fine', 'tenths', 'tenths', 'same', 'float32']),
    many: draw.chance(0.06) ? draw.whole(101, 130) : 0,
    maxDets: draw.chance(0.75)
      ? [1, 10, 100]
      : draw.one([
          [1, 2, 3],
          [1, 5, 20],
          [2, 2, 7],
          [1, 10, 300],
        ]),
    awkward: true,
  })
}

/** As pycocotools' own demonstration: results that are made up, on a hundred pictures of instances. */
export function demoCase(kind, seed = 0) {
  const draw = draws(1e6 + seed)
  return makeCase(draw, {
    kind,
    pictures: 100,
    classes: 80,
    side: kind === 'bbox' ? [320, 640] : [100, 200],
    objects: () => draw.whole(0, 15),
    strays: () => draw.whole(0, 3),
    scores: 'fine',
    many: 0,
    maxDets: [1, 10, 100],
    awkward: false,
  })
}

/** As large as COCO's validation set: 5,000 pictures, 36,000 objects, 100 detections a picture. */
export function largeCase() {
  const draw = draws(2e6)
  let objects = 0
  const { dataset, results, ...rest } = makeCase(draw, {
    kind: 'bbox',
    pictures: 5000,
    classes: 80,
    side: [320, 640],
    objects: left => {
      const own = left === 1 ? 36_000 - objects : draw.whole(2, 12)
      objects += own
      return Math.max(0, own)
    },
    strays: own => 100 - own,
    copies: 1,
    scores: 'fine',
    many: 0,
    maxDets: [1, 10, 100],
    awkward: false,
  })
  return { dataset, results, ...rest }
}

function makeCase(draw, how) {
  const categories = []
  for (let id = 0; categories.length < how.classes; ) {
    id += how.awkward ? draw.whole(1, 9) : 1
    categories.push({ id, name: `class ${id}` })
  }
  const absent = how.awkward && draw.chance(0.4) ? categories[categories.length - 1].id : -1
  const images = []
  const annotations = []
  const results = []
  let id = 0
  for (let i = 0; i < how.pictures; i++) {
    id += draw.whole(1, 50)
    images.push({ id, width: draw.whole(...how.side), height: draw.whole(...how.side) })
  }
  const score = scorer(draw, how.scores)
  const crowded = how.many > 0 ? draw.one(images) : undefined
  for (const [i, image] of images.entries()) {
    const count = how.awkward && draw.chance(0.15) ? 0 : how.objects(images.length - i)
    const own = []
    for (let n = 0; n < count; n++) {
      const category_id = draw.one(categories).id
      if (category_id === absent) continue
      own.push({ category_id, ...trueObject(draw, image, own, how) })
    }
    for (const object of own) {
      annotations.push({ id: annotations.length + 1, image_id: image.id, ...object })
    }
    if (how.awkward && draw.chance(0.1)) continue
    let found = 0
    for (const object of own) {
      if (how.awkward && draw.chance(0.2)) continue
      for (let copies = how.copies ?? draw.whole(1, 3); copies > 0; copies--) {
        const category_id = draw.chance(0.1) ? draw.one(categories).id : object.category_id
        const box = moved(draw, object.bbox)
        results.push({
          image_id: image.id,
          category_id,
          score: score(),
          ...foundShape(draw, image, box, how),
        })
        found++
      }
    }
    const strays = image === crowded ? how.many : how.strays(found)
    const same = draw.one(categories).id
    for (let n = 0; n < strays; n++) {
      const category_id = image === crowded ? same : draw.one(categories).id
      const near = own.length > 0 && draw.chance(0.3) ? moved(draw, draw.one(own).bbox) : undefined
      const box = near ?? randomBox(draw, image)
      results.push({
        image_id: image.id,
        category_id,
        score: score(),
        ...foundShape(draw, image, box, how),
      })
    }
  }
  if (results.length === 0) {
    // pycocotools cannot load results of nothing.
    const [image] = images
    const box = randomBox(draw, image)
    results.push({
      image_id: image.id,
      category_id: categories[0].id,
      score: 0.5,
      ...foundShape(draw, image, box, how),
    })
  }
  if (how.awkward) shuffle(draw, images)
  return {
    kind: how.kind,
    maxDets: how.maxDets,
    dataset: { images, annotations, categories },
    results,
  }
}

function scorer(draw, how) {
  if (how === 'same') return () => 0.25
  if (how === 'tenths') return () => draw.whole(0, 10) / 10
  if (how === 'float32') return () => Math.fround(draw.next())
  return () => draw.next()
}

function shuffle(draw, list) {
  for (let i = list.length - 1; i > 0; i--) {
    const j = draw.whole(0, i)
    ;[list[i], list[j]] = [list[j], list[i]]
  }
}

/** x, y, width, height within the picture, whole or not. */
function randomBox(draw, { width, height }) {
  const whole = draw.chance(0.5)
  const side = length => {
    const span = draw.next() ** 2 * length
    const start = draw.between(0, length - span)
    return whole ? [Math.floor(start), Math.max(1, Math.floor(span))] : [start, span]
  }
  const [[x, w], [y, h]] = [side(width), side(height)]
  return [x, y, w, h]
}

/** A box near another: the same, exactly a part of it, moved a little, or somewhere about. */
function moved(draw, [x, y, w, h]) {
  switch (draw.whole(0, 7)) {
    case 0:
      return [x, y, w, h]
    case 1: // overlaps of exactly 1/2, 3/4 ...
      return [x, y, w * draw.one([0.5, 0.75, 0.6, 0.8, 0.95]), h]
    case 2:
      return [x, y, w, h / 2]
    case 3:
      return [x + Math.round(w / 10), y, w, h]
    default: {
      const by = draw.between(0, 0.3)
      const shift = length => draw.between(-by, by) * length
      return [x + shift(w), y + shift(h), w * (1 + shift(1)), h * (1 + shift(1))]
    }
  }
}

function trueObject(draw, image, others, how) {
  const { awkward, kind } = how
  const twin = awkward && others.length > 0 && draw.chance(0.1) ? draw.one(others) : undefined
  const bbox = twin ? [...twin.bbox] : randomBox(draw, image)
  if (awkward && draw.chance(0.04)) bbox[draw.whole(2, 3)] = 0
  const crowd = draw.chance(awkward ? 0.12 : 0.02)
  let area = bbox[2] * bbox[3] * (draw.chance(0.5) ? 1 : draw.between(0.3, 1))
  if (awkward && draw.chance(0.06)) area = draw.one([0, 1024, 9216])
  const object = { bbox, area, iscrowd: crowd ? 1 : 0 }
  if (kind === 'bbox') return object
  return { ...object, segmentation: segmentation(draw, image, bbox, crowd) }
}

/** A crowd's is RLE, as in COCO; of others polygons or either kind of RLE. */
function segmentation(draw, image, box, crowd) {
  const form = crowd ? 'list' : draw.one(['polygons', 'polygons', 'list', 'text'])
  if (form === 'polygons') {
    const parts = draw.chance(0.2) ? 2 : 1
    return Array.from({ length: parts }, (_, i) => outline(draw, i === 0 ? box : moved(draw, box)))
  }
  return rle(image, box, draw.one(['box', 'oval']), form)
}

/** Corners on an oval in the box, or the box's own, x and y in turn. */
function outline(draw, [x, y, w, h]) {
  if (draw.chance(0.3)) return [x, y, x, y + h, x + w, y + h, x + w, y]
  const corners = draw.whole(3, 12)
  const out = []
  for (let i = 0; i < corners; i++) {
    const angle = (2 * Math.PI * (i + draw.between(0, 0.8))) / corners
    const radius = draw.between(0.6, 1)
    // Two decimals, as in COCO's files: sine and cosine may differ in their last digit elsewhere.
    const place = (start, length, part) =>
      Math.round(100 * (start + (length / 2) * (1 + radius * part))) / 100
    out.push(place(x, w, Math.cos(angle)), place(y, h, Math.sin(angle)))
  }
  return out
}

function foundShape(draw, image, bbox, { kind, awkward }) {
  if (kind === 'bbox') {
    if (awkward && draw.chance(0.03)) bbox = [bbox[0], bbox[1], 0, bbox[3]]
    return { bbox }
  }
  if (awkward && draw.chance(0.03)) bbox = [0, 0, 0, 0]
  return { segmentation: rle(image, bbox, draw.one(['box', 'oval']), 'text') }
}

/** The pixels whose middles lie in the box, or in the oval in it. */
function rle({ width, height }, [x, y, w, h], shape, form) {
  const counts = []
  let run = 0
  let inside = false
  for (let column = 0; column < width; column++) {
    for (let row = 0; row < height; row++) {
      const u = (column + 0.5 - x) / w
      const v = (row + 0.5 - y) / h
      const within =
        shape === 'box'
          ? u >= 0 && u < 1 && v >= 0 && v < 1
          : (2 * u - 1) ** 2 + (2 * v - 1) ** 2 <= 1
      if (within !== inside) {
        counts.push(run)
        run = 0
        inside = within
      }
      run++
    }
  }
  counts.push(run)
  return { size: [height, width], counts: form === 'text' ? countText(counts) : counts }
}
