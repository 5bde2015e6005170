/**
 * The first call of a fresh process on photographs of several sizes: processor time, peak of the resident
 * memory, and by how many bytes a pixel that grows.
 *
 * { megapixels, out, repeat }; out 'mask' or 'overlay', if anything is written
 */
import { execFile } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import sharp from 'sharp'
import { root } from '../../scripts/build/common.mjs'
import { cameraJpeg } from '../inputs.mjs'
import { check, statistics } from '../measure.mjs'

/** What a call on 12 megapixels may take, in milliseconds of processor time. */
const LIMIT = 3000

export async function run({ megapixels, out, repeat }, { folder }) {
  await mkdir(folder, { recursive: true })
  const camera = await cameraJpeg(folder)
  const runs = new Map()
  for (const size of megapixels) {
    const width = Math.round(4000 * Math.sqrt(size / 12))
    const path = join(folder, `photo-${size}.jpg`)
    await sharp(camera).resize(width).jpeg({ quality: 92 }).toFile(path)
    runs.set(size, { path, pixels: width * Math.round(0.75 * width), results: [] })
  }
  for (let turn = 0; turn < repeat; turn++) {
    for (const { path, results } of runs.values()) results.push(await once(path, out))
  }
  const of = (size, key) => runs.get(size).results.map(one => one[key])
  const peak = size => statistics(of(size, 'peak')).median
  const [first, last] = [Math.min(...megapixels), Math.max(...megapixels)]
  const growth = (peak(last) - peak(first)) / (runs.get(last).pixels - runs.get(first).pixels)
  return {
    rows: megapixels.map(size => ({
      what: `${size} megapixels, CPU time`,
      samples: of(size, 'cpu'),
    })),
    limit: { what: '12 megapixels, CPU time', ms: LIMIT },
    notes: {
      ...Object.fromEntries(megapixels.map(size => [`peak at ${size} megapixels`, peak(size)])),
      'bytes a pixel': growth,
    },
  }
}

async function once(path, out = '') {
  const script = join(root, 'bench/photo/declip.mjs')
  const { stdout } = await promisify(execFile)(process.execPath, [script, path, out])
  const result = JSON.parse(stdout.trim().split('\n').at(-1))
  check(result.right, 'the areas do not add up to 1')
  return result
}
