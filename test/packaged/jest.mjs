/** jest runs tests of programs that use the packed package: its own globals, `require` and all. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { installedProject, runIn } from './support.mjs'
import { installTools, tool } from './tools/install.mjs'

const TEST = `
const { readFileSync } = require('node:fs')
const { dirname, join } = require('node:path')
const { DeclipError, segment, Segmentation } = require('declip-native')

const park = join(dirname(require.resolve('declip-native/package.json')), 'models/scenes/park.png')
const options = { model: 'words-tiny', shortSide: 96 }
const classes = ['background', 'dog']

test('a path and bytes', async () => {
  for (const image of [park, readFileSync(park), new Uint8Array(readFileSync(park))]) {
    const seg = await segment(image, classes, options)
    expect(seg).toBeInstanceOf(Segmentation)
    expect(seg.areas[1]).toBeGreaterThan(0.02)
    expect(await seg.toPNG()).toHaveProperty('length')
    seg.dispose()
  }
})

test('pixels', async () => {
  const image = { data: new Uint8ClampedArray(96 * 96 * 4).fill(200), width: 96, height: 96 }
  const seg = await segment(image, classes, options)
  expect(seg.labels.shape).toEqual([96, 96])
  expect((await seg.labels.data()).length).toBe(96 * 96)
})

test('an error', async () => {
  await expect(segment('no such file', classes, options)).rejects.toBeInstanceOf(DeclipError)
  await expect(segment('no such file', classes, options)).rejects.toMatchObject({ code: 'ERR_DECLIP_IO' })
})

test('a signal', async () => {
  const stop = new AbortController()
  const call = segment(park, classes, { ...options, signal: stop.signal })
  stop.abort(new Error('enough'))
  await expect(call).rejects.toMatchObject({ code: 'ERR_DECLIP_ABORTED', cause: { message: 'enough' } })
})
`

await installTools()

t.test('a test file', async t => {
  const folder = installedProject(t)
  mkdirSync(join(folder, 'test'))
  for (const name of ['one', 'two']) writeFileSync(join(folder, 'test', `${name}.test.js`), TEST)
  const args = ['--rootDir', folder, '--no-watchman', '--cache=false', '--testTimeout=120000']
  // both files in one process: a second registry of modules meets an addon that is loaded already
  for (const way of ['--runInBand', '--maxWorkers=2']) {
    const { code, stderr } = await runIn(
      folder,
      process.execPath,
      [tool('jest/bin/jest.js'), ...args, way],
      {
        env: { CI: 'true' },
      },
    )
    t.equal(code, 0, stderr)
    t.match(stderr, /Tests: +8 passed, 8 total/)
  }
})
