/**
 * Compares this package with the originals of every family: random models, and the numbers that the
 * original classes give for them (pytorch/families/write_cases.py).
 *
 *   node bench/peers/compare.mjs FOLDER [family[/case]...] [--eager] [--dtype name] [--all]
 *
 * Prints the largest difference of every case as a share of its tolerance; --all prints every check.
 * Exits 1 where one is above 1, or a case fails.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    eager: { type: 'boolean' },
    all: { type: 'boolean' },
    dtype: { type: 'string', default: 'float32' },
  },
})
if (options.eager) process.env.DECLIP_ENGINE = 'eager'
const { loadModel, Tensor } = await import('../../dist/index.mjs')
const { readTensors } = await import('./safetensors.mjs')

const [folder, ...wanted] = positionals
let wrong = 0
for (const family of readdirSync(folder).sort()) {
  for (const name of readdirSync(join(folder, family)).sort()) {
    const id = `${family}/${name}`
    if (wanted.length > 0 && !wanted.includes(family) && !wanted.includes(id)) continue
    try {
      report(id, await compare(join(folder, family, name)))
    } catch (error) {
      wrong++
      console.log(`${id.padEnd(32)} FAILED ${error.message}`)
    }
  }
}
if (wrong > 0) process.exitCode = 1

/** [{ key, ratio, off, largest }] of all checks of a case. */
async function compare(path) {
  const { config, checks } = JSON.parse(readFileSync(join(path, 'case.json'), 'utf8'))
  const tensors = readTensors(join(path, 'tensors.safetensors'))
  const model = await loadModel(modelOf(path), { config, dtype: options.dtype })
  try {
    const results = []
    for (const { what, input, strings, expected, atol, rtol, largest } of checks) {
      const theirs = tensors.get(expected)
      try {
        const ours = await answer(model, what, tensors.get(input) ?? strings)
        const same = `${ours.shape}` === `${theirs.shape}`
        const data = await ours.data()
        const { ratio, off } = same
          ? difference(data, theirs.data, atol, rtol)
          : { ratio: Number.POSITIVE_INFINITY, off: `shape ${ours.shape} for ${theirs.shape}` }
        results.push({ key: expected, ratio, off, largest })
      } catch (error) {
        results.push({ key: expected, ratio: Number.NaN, off: error.message, largest })
      }
    }
    return results
  } finally {
    model.dispose()
  }
}

/** A folder, or its file where nothing lies beside it. */
function modelOf(path) {
  const folder = join(path, 'model')
  const files = readdirSync(folder)
  return files.length === 1 ? join(folder, files[0]) : folder
}

async function answer(model, what, given) {
  if (what === 'tokens') return model.tokenize(given)
  if (what === 'strings') return model.encodeText(given, { normalize: false })
  const { shape, data } = given
  if (what === 'text') {
    return model.encodeText(Tensor.from(Int32Array.from(data), shape), { normalize: false })
  }
  const image = Tensor.from(data, shape)
  if (what === 'image') return model.encodeImage(image, { normalize: false })
  const [, mode] = what.split(' ')
  return model.encodeDense(image, { normalize: false, ...(mode && { mode }) })
}

/** Largest share of the tolerance, and largest difference. */
function difference(ours, theirs, atol, rtol) {
  let [ratio, off] = [0, 0]
  for (let i = 0; i < theirs.length; i++) {
    const d = Math.abs(ours[i] - theirs[i])
    const share = d / (atol + rtol * Math.abs(theirs[i]))
    if (!(share <= ratio)) ratio = share
    if (!(d <= off)) off = d
  }
  return { ratio, off }
}

function report(id, results) {
  const worst = results.reduce((a, b) => (!(b.ratio <= a.ratio) ? b : a))
  if (!(worst.ratio <= 1)) wrong++
  const verdict = worst.ratio <= 1 ? 'ok   ' : 'WRONG'
  console.log(`${id.padEnd(32)} ${verdict} ${line(worst)}  (${results.length} checks)`)
  for (const result of results) {
    if (options.all || !(result.ratio <= 1)) console.log(`    ${line(result)}`)
  }
}

function line({ key, ratio, off, largest }) {
  const amount =
    typeof off === 'number' ? `${off.toExponential(1)} of ${largest.toPrecision(3)}` : off
  return `${ratio.toPrecision(2).padStart(8)} of the tolerance at ${key}: ${amount}`
}
