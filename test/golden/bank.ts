/** CorrCLIP's bank: what is stored of pictures, and how a picture's regions are looked up and mixed in. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import {
  Bank,
  buildBank,
  loadModel,
  type SegmentOptions,
  segment,
  Tensor,
  Vocabulary,
} from '../../ts/index.js'
import { resolveMethod } from '../../ts/methods/resolve.js'
import { type Expected, type Floats, Golden, labels, pixels, subsample } from './support.js'

const golden = new Golden('leading-methods')

interface Run {
  weights: string
  key_weights: string
  vfm_weights?: string
  config: { vision_width: number; vision_heads: number }
  key_config: { width: number; heads: number }
  vfm_config: { width: number; heads: number }
  inputs: Record<string, { file: string; tensor: string }> & {
    photo: string
    regions: string
    images: string
  }
  options: Record<string, unknown> & {
    query_class: number[]
    original_size: [number, number]
    resized: [number, number]
  }
  values: {
    region_keys: string[]
    images: [string, number, number][]
    label_png: string
    label_min_agreement: number
  }
}

const caseOf = (id: string) => golden.case(id) as ReturnType<Golden['case']> & Run
const clip = ({ weights, config }: Run) =>
  loadModel(golden.path(weights), {
    config: { headWidth: config.vision_width / config.vision_heads },
  })
const foundation = (file: string, { width, heads }: { width: number; heads: number }) =>
  loadModel(golden.path(file), { config: { headWidth: width / heads } })

t.test('bank-build', async t => {
  const run = caseOf('bank-build')
  const folder = await mkdtemp(join(tmpdir(), 'declip-golden-bank-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  using model = await clip(run)
  using keys = await foundation(run.key_weights, run.key_config)
  using dino = await foundation(run.vfm_weights as string, run.vfm_config)
  const { options } = run
  const build = {
    model,
    keys,
    proxy: { model: dino },
    masks: golden.path(run.inputs.regions),
    shortSide: options['short_side'] as number,
    window: options['crop'] as number,
    stride: options['stride'] as number,
    padTo: options['pad_multiple'] as number,
    corrclip: { unsegmented: 'smallest' as const },
  }
  const out = join(folder, 'golden.bank')
  using bank = await buildBank(golden.path(run.inputs.images), { ...build, out })
  const pictures = await bank.pictures()
  t.same(
    pictures.map(({ name, first, regions }) => [name, first, regions]),
    run.values.images,
    'the registry',
  )
  const rows = await bank.rows()
  const stored = async (tensor: Tensor, name: string) => {
    const { data, shape } = golden.tensor(
      run.outputs[name]?.file as string,
      run.outputs[name]?.tensor as string,
    )
    t.same(tensor.shape, shape, `${name}: shape`)
    const got = (await tensor.data()) as Float32Array
    const { atol, rtol = 1e-4 } = run.outputs[name] as Expected
    let far = 0
    for (let i = 0; i < data.length; i++) {
      const want = data[i] as number
      // What was rounded to float16: half a step of 11 bits, or of the smallest.
      const step = Math.max(Math.abs(want) * 2 ** -11, 2 ** -25)
      if (!(Math.abs((got[i] as number) - want) <= atol + rtol * Math.abs(want) + step)) far++
    }
    t.equal(far, 0, `${name}: all within the tolerance`)
  }
  await stored(rows.keys, 'keys')
  await stored(rows.values[0] as Tensor, 'values')
})

for (const id of golden.ids('bank-retrieve')) {
  t.test(id, async t => {
    const run = caseOf(id)
    const { options, inputs } = run
    using model = await clip(run)
    using vfm = await foundation(run.key_weights, run.key_config)
    const tensorOf = (name: string) => {
      const { data, shape } = golden.tensor(
        inputs[name]?.file as string,
        inputs[name]?.tensor as string,
      )
      return Tensor.from(data, shape)
    }
    using keys = tensorOf('bank_keys')
    using own = tensorOf('bank_values')
    const values = inputs['aux_values'] ? [own, tensorOf('aux_values')] : [own]
    const pictures = [{ name: 'all', regions: keys.shape[0] as number }]
    using bank = await Bank.fromParts({ keys, values, pictures })
    const [height, width] = options.original_size
    const photo = await pixels(golden.path(inputs.photo))
    const map = await labels(golden.path(inputs.regions.replace('.npz', '.png')))
    using regions = Tensor.from(Int32Array.from(map), [height, width])
    const settings: SegmentOptions = {
      method: 'corrclip',
      shortSide: Math.min(...options.resized),
      window: options['crop'] as number,
      stride: options['stride'] as number,
      padTo: options['pad_multiple'] as number,
      logitScale: options['logit_scale'] as number,
      probThreshold: options['prob_thd'] as number,
      proxy: { model: vfm, sees: 'picture' },
      corrclip: { merge: false, unsegmented: 'smallest' },
      masks: regions,
      bank,
      bankNeighbours: options['neighbours'] as number,
      bankShare: options['mix'] as number,
    }
    const method = resolveMethod({ model: model.facts, options: settings })
    using text = tensorOf('text_features')
    const more = inputs['aux_text_features'] ? tensorOf('aux_text_features') : undefined
    const ask = (wordClass: readonly number[], post: object) =>
      model.native.segment({
        picture: { pixels: photo.data, width, height },
        pipeline: { ...method.pipeline, regions: regions.native },
        post: { ...method.postprocess(0), ...post },
        text: text.native,
        bankText: more?.native,
        wordClass: Int32Array.from(wordClass),
      })
    const words = options.query_class
    const every = options['stored_every'] as number
    const one = await ask([...words.keys()], { logits: true })
    const logits = await floats(new Tensor(one.logits as NonNullable<typeof one.logits>))
    logits.shape.unshift(1)
    within(t, 'logits', subsample(logits, every), run.outputs['logits'])
    const all = await ask(words, { probabilities: true })
    const probabilities = new Tensor(all.probabilities as NonNullable<typeof all.probabilities>)
    const shares = subsample(await floats(probabilities), every)
    within(t, 'class probabilities', shares, run.outputs['class_probabilities'])

    // The same through the public API: classes are words here, and their best one counts.
    const expected = await labels(golden.path(run.values.label_png))
    const got = (await new Tensor(all.labels).data()) as Uint8Array
    const equal = expected.reduce((sum, label, i) => sum + (got[i] === label ? 1 : 0), 0)
    t.ok(
      equal / expected.length >= run.values.label_min_agreement,
      `labels: ${equal} of ${expected.length}`,
    )
    if (words.length !== new Set(words).size) {
      const names = words.map((_, i) => `word ${i}`)
      using vocabulary = await Vocabulary.fromFeatures(names, text)
      const bankWords = more && (await Vocabulary.fromFeatures(names, more))
      const image = { data: photo.data, width, height, channels: 3 as const }
      using seg = await segment(image, vocabulary, {
        ...settings,
        model,
        logits: true,
        ...(bankWords && { bankWords }),
      })
      const again = await floats(seg.logits as Tensor)
      again.shape.unshift(1)
      within(t, 'logits of segment()', subsample(again, every), run.outputs['logits'])
    }
  })
}

async function floats(tensor: Tensor): Promise<Floats> {
  return { shape: [...tensor.shape], data: (await tensor.data()) as Float32Array }
}

/** A share of the elements may be outside of the tolerance, but not outside the wider one. */
function within(t: Test, stage: string, got: Floats, expected: Expected | undefined): void {
  const spec = expected as Expected & { outliers_allowed: number; outlier_atol: number }
  const { data, shape } = golden.tensor(spec.file, spec.tensor)
  t.same(got.shape, shape, `${stage}: shape`)
  let [outside, far] = [0, 0]
  for (let i = 0; i < data.length; i++) {
    const want = data[i] as number
    const off = Math.abs((got.data[i] as number) - want)
    const relative = (spec.rtol ?? 1e-4) * Math.abs(want)
    if (!(off <= spec.atol + relative)) outside++
    if (!(off <= spec.outlier_atol + relative)) far++
  }
  const message = `${stage}: ${outside} of ${data.length} outside the tolerance, ${far} far outside`
  t.ok(outside <= spec.outliers_allowed * data.length && far === 0, message)
}
