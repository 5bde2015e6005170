/** Talk2DINO: words of a CLIP on the patches of a DINOv2, through the public calls, as its authors' code has it. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import t from 'tap'
import { packageRoot } from '../../../ts/base/package-files.js'
import {
  type DeclipError,
  loadModel,
  type Model,
  type SegmentOptions,
  segment,
  Tensor,
  Vocabulary,
} from '../../../ts/index.js'

const fixture = (name: string) => join(packageRoot, 'test/fixtures', name)
const golden = (name: string) => fixture(`leading-methods/${name}`)
const folder = mkdtempSync(join(tmpdir(), 'talk2dino-'))

interface Case {
  id: string
  inputs: { names: string[] }
  options: Record<string, number> & { clean: boolean; pamr_dilations: number[] }
  outputs: Record<string, { tensor: string; atol: number; rtol: number }>
  values: { label_png: string; label_min_agreement: number }
}
const { cases } = JSON.parse(readFileSync(golden('manifest.json'), 'utf8')) as { cases: Case[] }
const caseOf = (id: string) => cases.find(one => one.id === id) as Case

/** A float32 tensor of a safetensors file. */
function floats(file: string, name: string): { data: Float32Array; shape: number[] } {
  const bytes = readFileSync(golden(file))
  const length = Number(bytes.readBigUInt64LE(0))
  const { [name]: found } = JSON.parse(bytes.toString('utf8', 8, 8 + length))
  const [begin, end] = found.data_offsets.map((at: number) => at + 8 + length)
  return {
    data: new Float32Array(Uint8Array.from(bytes.subarray(begin, end)).buffer),
    shape: found.shape,
  }
}

/** The share of numbers within the tolerance of an output. */
function near(got: Float32Array, { tensor, atol, rtol }: Case['outputs'][string]): number {
  const { data } = floats('outputs.safetensors', tensor)
  if (got.length !== data.length) return -1
  const good = data.filter((x, i) => Math.abs(x - (got[i] as number)) <= atol + rtol * Math.abs(x))
  return good.length / data.length
}

const config = { headWidth: 32 }
const load = (name: string) => loadModel(fixture(name), { dtype: 'float32', config })
let model: Model
let clip: Model
const projection = golden('talk2dino.safetensors')
t.before(async () => {
  model = await load('vfm/dinov2-reg.safetensors')
  clip = await loadModel(fixture('clip-tiny/state_dict.pt'), { dtype: 'float32' })
})
t.teardown(() => {
  model.dispose()
  clip.dispose()
  rmSync(folder, { recursive: true })
})

const photo = golden('corrclip-photo.png')
/** Options of a small call. */
const small = (more: object = {}) =>
  ({
    model,
    method: 'talk2dino',
    window: 56,
    stride: 42,
    shortSide: 56,
    pamr: false,
    ...more,
  }) as const

t.test('words are those of the authors', async t => {
  const { inputs, outputs } = caseOf('talk2dino-text')
  using words = await model.vocabulary(inputs.names, { text: { model: clip, projection } })
  const got = (await words.features.data()) as Float32Array
  t.equal(near(got, outputs['text_features'] as Case['outputs'][string]), 1)
  t.equal(words.templates.length, 7)
})

for (const { id, options, outputs, values } of cases.filter(({ id }) =>
  id.startsWith('talk2dino-pipeline'),
)) {
  t.test(id, async t => {
    const text = floats('inputs.safetensors', 'talk2dino.text_features')
    const [words = 0, width = 0] = text.shape
    const threshold = options['background_threshold'] as number | null
    const isAgainst = threshold !== null
    // The background's own word counts for nothing.
    const rows = new Float32Array((words + (isAgainst ? 1 : 0)) * width).fill(1)
    rows.set(text.data, isAgainst ? width : 0)
    const names = Array.from({ length: words }, (_, i) => `word ${i}`)
    if (isAgainst) names.unshift('background')
    using features = Tensor.from(rows, [names.length, width])
    using vocabulary = await Vocabulary.fromFeatures(names, features)
    const steps = options['pamr_steps'] as number
    const given: SegmentOptions = {
      model,
      method: 'talk2dino',
      shortSide: options['window'],
      window: options['window'],
      stride: options['stride'],
      backgroundCleaning: options.clean,
      pamr: steps > 0 && { iterations: steps, dilations: options.pamr_dilations },
      ...(isAgainst && { probThreshold: threshold }),
      logits: true,
    }
    const labels = await sharp(golden(values.label_png)).extractChannel(0).raw().toBuffer()
    const check = async (seg: Awaited<ReturnType<typeof segment>>) => {
      const got = (await seg.labels.data()) as Uint8Array
      const same = got.filter((label, i) => label === labels[i]).length / labels.length
      t.ok(same >= values.label_min_agreement, `${same} of the labels`)
    }
    using seg = await segment(photo, vocabulary, given)
    await check(seg)
    // Words of a view go through no tower again.
    using view = await model.encode(photo, given)
    using again = await view.segment(vocabulary, given)
    await check(again)
    const every = options['stored_every'] as number
    // The scores of the picture as it came, as far as they are stored.
    const stored = outputs['scores'] as Case['outputs'][string]
    const shape = floats('outputs.safetensors', stored.tensor).shape
    const [, classes = 0, h = 0, w = 0] = shape
    const planes = (await (seg.logits as Tensor).data()) as Float32Array
    const picked = new Float32Array(classes * h * w)
    for (let c = 0; c < classes; c++) {
      for (let y = 0; y < h; y++) {
        for (let x = 0; x < w; x++) {
          picked[(c * h + y) * w + x] = planes[
            (c * seg.height + y * every) * seg.width + x * every
          ] as number
        }
      }
    }
    t.equal(near(picked, stored), 1, 'scores')
  })
}

t.test('a vocabulary needs no text model any more, and says whose it is', async t => {
  const text = { model: clip, projection }
  const classes = ['background', 'cat, kitten', 'sky']
  using seg = await segment(photo, classes, { ...small(), text })
  using made = await model.vocabulary(classes, { text })
  const path = join(folder, 'words.safetensors')
  await made.save(path)
  using kept = await Vocabulary.load(path, { model })
  using same = await segment(photo, kept, small())
  t.strictSame(same.areas, seg.areas)
  using also = await segment(photo, kept, { ...small(), text })
  t.strictSame(also.areas, seg.areas)
  using view = await model.encode(photo, { ...small(), text })
  using answered = await view.segment(classes)
  t.strictSame(answered.areas, seg.areas)
  const plane = await view.similarity('a cat')
  t.strictSame(plane.shape, [240, 360])
  t.equal((await view.peaks('a cat', { limit: 1 })).length, 1)

  const refused = (call: Promise<unknown>, message: RegExp) =>
    t.rejects(call, { code: 'ERR_DECLIP_INVALID_ARG', message })
  using own = await clip.vocabulary(['cat', 'sky'])
  await refused(segment(photo, own, small()), /own space/)
  await refused(segment(photo, kept, { model: clip, shortSide: 64 }), /DINOv2's space/)
  await refused(segment(photo, classes, small()), /needs text: \{ model, projection \}/)
})

t.test('a file that is no projection is refused with what it lacks', async t => {
  const path = join(folder, 'none.pth')
  writeFileSync(path, 'PK\u0003\u0004 nothing')
  const call = (file: string) =>
    model.vocabulary(['cat'], { text: { model: clip, projection: file } })
  await t.rejects(call(path), { code: 'ERR_DECLIP_WEIGHTS' })
  await t.rejects(call(join(folder, 'missing.pth')), { code: 'ERR_DECLIP_IO' })
  await t.rejects(call(fixture('vfm/dino.safetensors')), {
    code: 'ERR_DECLIP_WEIGHTS',
    message: /there is no linear_layer.weight/,
  })
})

t.test('what does not belong together is refused before anything runs', async t => {
  const text = { model: clip, projection }
  const refused = async (call: Promise<unknown>, message: RegExp) => {
    const error = (await call.then(
      () => undefined,
      error => error,
    )) as DeclipError
    t.equal(error?.code, 'ERR_DECLIP_INVALID_ARG')
    t.match(error?.message, message)
  }
  await refused(
    segment(photo, ['cat'], { model: clip, method: 'talk2dino', text }),
    /family 'clip'/,
  )
  await refused(segment(photo, ['cat'], { model: clip, text }), /left out unless method/)
  await refused(segment(photo, ['cat'], { ...small(), text, mode: 'vanilla' }), /^mode does not go/)
  await refused(
    segment(photo, ['cat'], { ...small(), text: { model, projection } }),
    /text.model must be a CLIP/,
  )
  await refused(
    segment(photo, ['cat'], { ...small(), text: { model: clip } }),
    /text.projection must be/,
  )
  await refused(segment(photo, ['background'], { ...small(), text }), /beside the background/)
  await t.rejects(segment(photo, ['cat'], { model }), { code: 'ERR_DECLIP_WEIGHTS' })
  t.strictSame(model.info.methods, ['talk2dino'])
  t.notOk(clip.info.methods.includes('talk2dino'))
})
