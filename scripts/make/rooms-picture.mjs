/**
 * Draws docs/images/rooms.svg: the rooms of ts/ and cpp/ with what each does, and an arc from a room
 * to each that its files use. Arcs that follow from others are left out.
 *
 *   node scripts/make/rooms-picture.mjs [--print]     --print: lines and files per room instead
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { filesUnder, root } from '../build/common.mjs'
import { ROOMS, readImports } from '../check/imports.mjs'

export const PICTURE = 'docs/images/rooms.svg'

/** Of ts/, as scripts/check/imports.mjs orders them. */
const TS = {
  base: 'files, warnings, package paths, HTTP',
  engine: 'LibTorch, the addon, tensor handles',
  hub: 'names of models, downloads, cache',
  image: 'pictures to pixels',
  text: 'cleaning, tokens, templates, class files',
  methods: 'one file a method; options resolved',
  words: 'vocabularies: words to features',
  masks: 'run lengths, polygons, label pictures',
  result: 'labels, objects, overlays',
  model: 'a loaded model, an encoded picture',
  segment: 'segment() and segmentMany()',
  detect: 'detect(): objects with boxes',
  evaluate: 'data sets, metrics, runs, reports',
  bank: 'regions of unlabelled pictures',
  export: 'folders of pictures to data sets',
  train: 'data and runs of training',
  cli: 'the declip command',
}

/** Of cpp/, in the order in which they may include: each those before it. */
const CPP = {
  include: 'include/declip: what the core offers',
  files: 'safetensors, PyTorch archives, JSON',
  image: 'sizes, resizing, windows',
  kernels: 'loops over pixels and tokens, CPU and CUDA',
  checkpoint: 'what a family is; configurations',
  model: 'towers, dense modes, the walk over blocks',
  cat_seg: "CAT-Seg's head: costs aggregated over places and words",
  detect: "F-ViT's heads: pyramid, proposals, boxes, masks",
  families: 'one file a family of checkpoints',
  bank: "a bank's file and its search",
  segment: 'from a picture to labels, masks, outlines',
  evaluate: 'intersections over unions',
  train: 'objectives, steps, ranks',
  runtime: 'threads, memory, what the engine is',
}

/** Rooms of cpp/ in drawing order, each with the rooms whose headers it includes. */
export function coreRooms() {
  const uses = new Map()
  for (const file of filesUnder('cpp').filter(path => /\.(cpp|h|cu|cuh)$/.test(path))) {
    const [, room] = file.split('/')
    if (!uses.has(room)) uses.set(room, new Set())
    for (const [, path] of readFileSync(join(root, file), 'utf8').matchAll(/^#include "(.+)"/gm)) {
      const [first, ...rest] = path.split('/')
      const used = first === 'declip' ? 'include' : first
      if (rest.length > 0 && used !== room) uses.get(room).add(used)
    }
  }
  return ordered(uses, Object.keys(CPP))
}

/** Rooms of ts/ likewise. */
export function apiRooms() {
  const files = readImports()
  const uses = new Map(ROOMS.map(room => [room, new Set()]))
  for (const { room, imports } of files.values()) {
    for (const used of imports.map(path => files.get(path)?.room)) {
      if (room && used && used !== room) uses.get(room).add(used)
    }
  }
  return ordered(uses, Object.keys(TS))
}

function ordered(uses, order) {
  const unknown = [...uses.keys()].filter(room => !order.includes(room))
  if (unknown.length > 0) throw new Error(`scripts/make/rooms-picture.mjs knows no ${unknown}.`)
  return new Map(order.filter(room => uses.has(room)).map(room => [room, uses.get(room)]))
}

/** Without arcs that follow from longer ways. */
function withoutDetours(uses) {
  const reaches = (from, to, seen = new Set()) => {
    if (seen.has(from)) return false
    seen.add(from)
    return [...(uses.get(from) ?? [])].some(next => next === to || reaches(next, to, seen))
  }
  const kept = (room, used) =>
    ![...uses.get(room)].some(other => other !== used && reaches(other, used))
  return new Map(
    [...uses].map(([room, used]) => [room, [...used].filter(name => kept(room, name))]),
  )
}

const [ROW, BOX, WIDTH, ARCS] = [40, 30, 400, 110]

/** Rooms of cpp/ that include one after them, as 'from -> to'. */
export function upwardIncludes() {
  const order = Object.keys(CPP)
  return [...coreRooms()].flatMap(([room, used]) =>
    [...used]
      .filter(name => order.indexOf(name) > order.indexOf(room))
      .map(name => `${room} -> ${name}`),
  )
}

/** The picture as text. */
export function draw() {
  const [api, core] = [apiRooms(), coreRooms()]
  const rows = Math.max(api.size, core.size)
  const [left, right] = [20, 20 + WIDTH + ARCS + 170]
  const height = rows * ROW + 70
  const middle = left + WIDTH + ARCS
  const bottom = 50 + (rows - 1) * ROW
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${right + WIDTH + ARCS}" height="${height}" font-family="sans-serif" font-size="13">`,
    '<title>The rooms of ts/ and cpp/, and which uses which</title>',
    '<defs><marker id="to" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto-start-reverse"><path d="M0 0 8 4 0 8z" fill="#577"/></marker></defs>',
    `<rect width="100%" height="100%" fill="#fff"/>`,
    ...column('ts/', left, rows, api, TS, '#e8f1fb'),
    box(middle, bottom, 110, 'binding/', '#fdf0dc'),
    arrow(left + WIDTH, bottom - ROW + 0.8 * BOX, middle - 4, bottom + 0.5 * BOX),
    arrow(middle + 110, bottom + 0.5 * BOX, right - 4, bottom + 0.5 * BOX),
    ...column('cpp/', right, rows, core, CPP, '#e9f6e9'),
    '</svg>\n',
  ].join('\n')
}

function column(title, x, rows, uses, texts, fill) {
  const names = [...uses.keys()]
  const top = room => 50 + (rows - 1 - names.indexOf(room)) * ROW
  const arcs = [...withoutDetours(uses)].flatMap(([room, used]) =>
    used
      .filter(name => names.includes(name))
      .map(name => arc(x + WIDTH, top(room) + 0.6 * BOX, top(name) + 0.4 * BOX)),
  )
  return [
    `<text x="${x}" y="32" font-size="17" font-weight="bold">${title}</text>`,
    ...names.map(room => box(x, top(room), WIDTH, room, fill, texts[room])),
    ...arcs,
  ]
}

function box(x, y, width, name, fill, text = '') {
  return `<rect x="${x}" y="${y}" width="${width}" height="${BOX}" rx="5" fill="${fill}" stroke="#9aa"/><text x="${x + 10}" y="${y + 20}"><tspan font-weight="bold">${name}</tspan><tspan x="${x + 95}" fill="#444">${text}</tspan></text>`
}

function arc(x, from, to) {
  const reach = Math.min(ARCS - 10, 12 + Math.abs(to - from) / 3.2)
  return `<path d="M${x} ${from}C${x + reach} ${from} ${x + reach} ${to} ${x + 1} ${to}" fill="none" stroke="#577" marker-end="url(#to)"/>`
}

function arrow(x1, y1, x2, y2) {
  return `<path d="M${x1} ${y1}L${x2} ${y2}" fill="none" stroke="#b83" stroke-dasharray="4 3" marker-end="url(#to)"/>`
}

function print() {
  for (const folder of ['ts', 'cpp', 'binding', 'scripts', 'models/recipe', 'test']) {
    const rooms = new Map()
    for (const file of filesUnder(folder).filter(path =>
      /\.(ts|mjs|cpp|h|cu|cuh|py)$/.test(path),
    )) {
      const rest = file.slice(folder.length + 1).split('/')
      const room = rest.length > 1 ? `${folder}/${rest[0]}` : folder
      const own = rooms.get(room) ?? { files: 0, lines: 0 }
      own.files += 1
      own.lines += readFileSync(join(root, file), 'utf8').split('\n').length - 1
      rooms.set(room, own)
    }
    for (const [room, { files, lines }] of [...rooms].sort())
      console.log(
        `${room.padEnd(24)} ${`${files}`.padStart(4)} files ${`${lines}`.padStart(6)} lines`,
      )
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (process.argv.includes('--print')) print()
  else writeFileSync(join(root, PICTURE), draw())
}
