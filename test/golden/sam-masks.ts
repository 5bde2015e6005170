/**
 * Masks of points, boxes and masks through the public calls, in both layouts of SAM's files, against the authors' code.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import {
  loadModel,
  type Model,
  type PointLabel,
  type PromptedMasks,
  Tensor,
} from '../../ts/index.js'
import { pixelsOf } from '../support/rle.js'
import { transformersConfig, transformersName } from '../support/sam-layouts.js'
import { type Case, compare, Golden, labels, readSafetensors, safetensorsBytes } from './support.js'

const golden = new Golden('sam-decoder')
const config = golden.case(golden.ids()[0] as string).config as Record<string, unknown>
const decoderHeads = config['decoder_heads'] as number
const original = golden.path('sam.safetensors')

const cases = golden.ids().filter(id => golden.case(id).options?.['chosen_masks'] !== undefined)

/** The authors' file by transformers' names. */
function writeFolder(folder: string): void {
  const tensors = readSafetensors(original)
  const names = [...tensors.keys()]
  const renamed = [...tensors].map(
    ([name, value]) => [transformersName(name, names), value] as const,
  )
  writeFileSync(join(folder, 'model.safetensors'), safetensorsBytes(new Map(renamed)))
  writeFileSync(join(folder, 'config.json'), JSON.stringify(transformersConfig(config)))
}

interface Inputs {
  photo: string
  points_xy?: [number, number][][]
  labels?: PointLabel[][]
  boxes_xyxy?: [number, number, number, number][]
  mask_input?: { case?: string; output?: string; index?: number; file?: string; tensor?: string }
}

function maskInput({ mask_input }: Inputs): Tensor | undefined {
  if (mask_input === undefined) return undefined
  if (mask_input.case === undefined) {
    const { data, shape } = golden.tensor(mask_input.file as string, mask_input.tensor as string)
    return Tensor.from(data, shape)
  }
  const { data, shape } = golden.expected(mask_input.case, mask_input.output as string)
  const [, , height, width] = shape as [number, number, number, number]
  const at = (mask_input.index as number) * height * width
  return Tensor.from(data.slice(at, at + height * width), [height, width])
}

async function answer(model: Model, one: Case): Promise<PromptedMasks> {
  const inputs = one.inputs as unknown as Inputs
  const mask = maskInput(inputs)
  try {
    return await model.masksAt(golden.path(inputs.photo), {
      points: inputs.points_xy,
      labels: inputs.labels,
      boxes: inputs.boxes_xyxy,
      maskInput: mask,
      multimask: one.options?.['multimask_output'] as boolean,
    })
  } finally {
    mask?.dispose()
  }
}

for (const layout of ['original', 'huggingface'] as const) {
  t.test(`masks of prompts, ${layout}`, async t => {
    const folder = t.testdir()
    if (layout === 'huggingface') writeFolder(folder)
    using model = await (layout === 'original'
      ? loadModel(original, { config: { decoderHeads } })
      : loadModel(folder))
    t.match(model.info, {
      format: layout,
      maskDecoder: {
        heads: decoderHeads,
        layers: config['decoder_layers'],
        masks: config['mask_tokens'],
      },
    })
    for (const id of cases) {
      const one = golden.case(id)
      const { values = {}, options = {} } = one
      using found = await answer(model, one)
      const [height, width] = options['original_size'] as [number, number]
      t.match(found, { width, height, prompts: options['prompts'] }, id)
      const chosen = options['chosen_masks'] as number[]
      t.equal(found.masksPerPrompt, chosen.length, id)
      const scores = (values['iou'] as number[][]).flat()
      const off = Math.max(
        ...scores.map((score, i) => Math.abs(score - (found.scores[i] as number))),
      )
      t.ok(off < 1e-4, `${id}: scores are off by ${off}`)
      const bits = await labels(golden.path(values['masks_png'] as string))
      for (const [m, mask] of found.masks.entries()) {
        const pixels = pixelsOf(mask)
        const equal = pixels.reduce(
          (n, inside, i) => n + Number(inside === (((bits[i] as number) >> m) & 1)),
          0,
        )
        const share = equal / pixels.length
        t.ok(
          share >= (values['mask_min_agreement'] as number),
          `${id} mask ${m}: ${share} of the pixels`,
        )
        t.equal(
          found.areas[m],
          pixels.reduce((a, b) => a + b, 0),
          `${id} area ${m}`,
        )
      }
      if ('low_res' in one.outputs)
        await compare(t, `${id} low_res`, found.lowRes, golden.expected(id, 'low_res'))
    }
  })
}
