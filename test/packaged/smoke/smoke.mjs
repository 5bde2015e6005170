/**
 * Uses the installed package as a program would; prints one line of JSON: per check 'ok' or what went
 * wrong, and what was computed. Runs unchanged in Node, Bun and Deno, so it uses no test framework.
 *
 *   <runtime> smoke.mjs [--without=check]...
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import process from 'node:process'
import { Worker } from 'node:worker_threads'
import { DeclipError, loadModel, Segmentation, segment, segmentMany } from 'declip-native'

const require = createRequire(import.meta.url)
const scenes = new URL('models/scenes/', import.meta.resolve('declip-native/package.json'))
const park = new URL('park.png', scenes)
const classes = ['background', 'tree', 'dog, puppy', 'butterfly']

const model = await loadModel('words-tiny')
const options = { model, shortSide: 96 }
const first = await segment(park, classes, options)
const expected = await hashOf(first)

const checks = {
  async 'path, URL and bytes'() {
    for (const image of [decodeURIComponent(park.pathname), readFileSync(park)]) {
      const seg = await segment(image, classes, options)
      assert.equal(await hashOf(seg), expected)
      seg.dispose()
    }
  },
  async 'toPNG, mask and overlay'() {
    for (const overlay of [false, { legend: false }]) {
      const png = await first.toPNG({ overlay })
      const view = new DataView(png.buffer, png.byteOffset)
      assert.equal(view.getUint32(0), 0x89504e47)
      assert.deepEqual([view.getUint32(16), view.getUint32(20)], [first.width, first.height])
    }
  },
  async 'abort in the middle'() {
    const stop = new AbortController()
    let [before, after] = [0, 0]
    const call = segment(park, classes, {
      model,
      stride: 8,
      signal: stop.signal,
      onProgress({ done, total }) {
        if (stop.signal.aborted) after += 1
        else if (done > 0 && done < total) {
          before = done
          stop.abort(new Error('enough'))
        }
      },
    })
    const error = await call.then(
      () => assert.fail('finished'),
      error => error,
    )
    assert.equal(error.code, 'ERR_DECLIP_ABORTED')
    assert.equal(error.cause.message, 'enough')
    assert.ok(before > 0 && after < 5, `${before} before, ${after} after`)
  },
  async 'errors with a code'() {
    await rejects(segment('no such file.png', classes, options), 'ERR_DECLIP_IO')
    await rejects(segment(new Uint8Array(64), classes, options), 'ERR_DECLIP_IMAGE')
    await rejects(segment(park, classes, { model, stride: -1 }), 'ERR_DECLIP_INVALID_ARG')
    await rejects(loadModel('no such model.pt'), 'ERR_DECLIP_IO')
  },
  async 'segmentMany with progress'() {
    const steps = new Set()
    const pictures = ['park.png', 'garden.png', 'table.png'].map(name => new URL(name, scenes))
    const sizes = []
    const onProgress = ({ step }) => steps.add(step)
    for await (const seg of segmentMany(pictures, classes, { ...options, onProgress })) {
      sizes.push(seg.labels.shape.join('x'))
      seg.dispose()
    }
    assert.equal(sizes.length, 3)
    assert.ok(steps.has('encode'), [...steps].join())
  },
  async 'encode once, query again'() {
    const view = await model.encode(park, { shortSide: 96 })
    const again = await view.segment(classes)
    assert.equal(await hashOf(again), expected)
    const other = await view.segment(['background', 'elephant'])
    assert.equal(other.areas.length, 2)
    for (const item of [view, again, other]) item.dispose()
  },
  async 'two workers, one terminated'() {
    const url = new URL('./worker.mjs', import.meta.url)
    const start = endless => new Worker(url, { workerData: { park: park.href, classes, endless } })
    const [one, two] = [start(false), start(true)]
    const [[answer]] = await Promise.all([once(one, 'message'), once(two, 'message')])
    assert.equal(answer, expected)
    await two.terminate()
    const seg = await segment(park, classes, options)
    assert.equal(await hashOf(seg), expected)
    seg.dispose()
  },
  async 'import and require are one'() {
    const required = require('declip-native')
    assert.equal(required.DeclipError, DeclipError)
    const seg = await required.segment(park, classes, options)
    assert.ok(seg instanceof Segmentation)
    assert.equal(await hashOf(seg), expected)
    seg.dispose()
  },
  async dispose() {
    const own = await loadModel('words-tiny')
    const seg = await segment(park, classes, { ...options, model: own })
    seg.dispose()
    seg.dispose()
    await rejects(seg.toPNG(), 'ERR_DECLIP_DISPOSED')
    // in the middle of a call, which finishes all the same
    const last = await segment(park, classes, { model: own, onProgress: () => own.dispose() })
    assert.equal(last.areas.length, classes.length)
    last.dispose()
    await rejects(segment(park, classes, { ...options, model: own }), 'ERR_DECLIP_DISPOSED')
  },
}

const results = {}
for (const [name, check] of Object.entries(checks)) {
  if (process.argv.includes(`--without=${name}`)) continue
  results[name] = await check().then(
    () => 'ok',
    error => error.stack,
  )
}
console.log(JSON.stringify({ results, labels: expected, areas: first.areas }))

async function hashOf(seg) {
  return createHash('sha256')
    .update(await seg.labels.data())
    .digest('hex')
    .slice(0, 16)
}

async function rejects(call, code) {
  const error = await call.then(
    () => assert.fail(`no ${code}`),
    error => error,
  )
  assert.ok(error instanceof DeclipError, error.stack)
  assert.equal(error.code, code, error.stack)
}
