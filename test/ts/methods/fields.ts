import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Fields, OptionsOf } from '../../../ts/base/field.js'
import { packageRoot } from '../../../ts/base/package-files.js'
import {
  AGGREGATE_FIELDS,
  BANK_FIELDS,
  CAT_SEG_FIELDS,
  CORRCLIP_FIELDS,
  DENSE_FIELDS,
  METHOD_OPTIONS,
  PAMR_FIELDS,
  PIPELINE_FIELDS,
  POSTPROCESS_FIELDS,
  PROMPT_FIELDS,
  PROXY_FIELDS,
  SCCLIP_FIELDS,
} from '../../../ts/methods/fields.js'
import { METHOD_NAMES, METHODS } from '../../../ts/methods/list.js'
import type { PamrOptions } from '../../../ts/methods/method.js'
import type {
  AggregateOptions,
  CatSegOptions,
  CorrClipOptions,
  DenseOptions,
  PipelineOptions,
  PostprocessOptions,
  PromptOptions,
  ProxyOptions,
  ScClipOptions,
} from '../../../ts/methods/options.js'
import { SCCLIP_NUMBERS } from '../../../ts/methods/scclip.js'
import { comment, commentsOf, rows } from '../../support/fields.js'

/** Both have the same members of the same types; compiled, not run. */
type Same<A, B> = [A, B] extends [B, A] ? true : never
type Loose<T> = { [K in keyof T]: T[K] | undefined }
const same: true[] = [
  true satisfies Same<
    OptionsOf<typeof DENSE_FIELDS>,
    Omit<DenseOptions, 'proxy' | 'corrclip' | 'regions' | 'scclip'>
  >,
  true satisfies Same<OptionsOf<typeof CORRCLIP_FIELDS>, CorrClipOptions>,
  true satisfies Same<OptionsOf<typeof SCCLIP_FIELDS>, ScClipOptions>,
  true satisfies Same<OptionsOf<typeof CAT_SEG_FIELDS>, CatSegOptions>,
  true satisfies Same<OptionsOf<typeof PROXY_FIELDS>, Omit<ProxyOptions, 'model' | 'features'>>,
  true satisfies Same<
    OptionsOf<typeof PIPELINE_FIELDS>,
    Omit<PipelineOptions, keyof DenseOptions | 'method' | 'dataset' | 'denseMode' | 'catSeg'>
  >,
  true satisfies Same<OptionsOf<typeof AGGREGATE_FIELDS>, AggregateOptions>,
  true satisfies Same<OptionsOf<typeof POSTPROCESS_FIELDS>, PostprocessOptions>,
  true satisfies Same<OptionsOf<typeof PROMPT_FIELDS>, Omit<PromptOptions, 'templates' | 'text'>>,
  true satisfies Same<OptionsOf<typeof PAMR_FIELDS>, Partial<Loose<PamrOptions>>>,
]

const OPTIONS = 'ts/methods/options.ts'
const TABLES: [string, string, Fields, others: string[]][] = [
  [OPTIONS, 'DenseOptions', DENSE_FIELDS, ['proxy', 'corrclip', 'regions', 'scclip']],
  [OPTIONS, 'CorrClipOptions', CORRCLIP_FIELDS, []],
  [OPTIONS, 'ScClipOptions', SCCLIP_FIELDS, []],
  [OPTIONS, 'CatSegOptions', CAT_SEG_FIELDS, []],
  [OPTIONS, 'ProxyOptions', PROXY_FIELDS, ['model', 'features']],
  [OPTIONS, 'PipelineOptions', PIPELINE_FIELDS, ['method', 'dataset', 'denseMode', 'catSeg']],
  [OPTIONS, 'AggregateOptions', AGGREGATE_FIELDS, []],
  [OPTIONS, 'PostprocessOptions', POSTPROCESS_FIELDS, ['bankWords']],
  [OPTIONS, 'PromptOptions', PROMPT_FIELDS, ['templates', 'text']],
  ['ts/methods/method.ts', 'PamrOptions', PAMR_FIELDS, []],
]

t.test('the comments of the interfaces say what the fields say', async t => {
  t.ok(same.every(Boolean))
  for (const [file, name, fields, others] of TABLES) {
    const comments = commentsOf(file, name)
    t.strictSame(Object.keys(comments).sort(), [...Object.keys(fields), ...others].sort(), name)
    for (const [option, field] of Object.entries(fields)) {
      t.equal(comments[option], comment(field), `${name}.${option}`)
    }
  }
})

t.test('so does the table of the guide', async t => {
  const guide = readFileSync(join(packageRoot, 'docs/guides/methods.md'), 'utf8')
  const lines = guide.split('\n')
  for (const line of [
    ...rows(PIPELINE_FIELDS),
    ...rows(AGGREGATE_FIELDS, 'aggregate.'),
    ...rows(DENSE_FIELDS),
    ...rows(PROXY_FIELDS, 'proxy.'),
    ...rows(CORRCLIP_FIELDS, 'corrclip.'),
    ...rows(SCCLIP_FIELDS, 'scclip.'),
    ...rows(CAT_SEG_FIELDS, 'catSeg.'),
    ...rows(PROMPT_FIELDS),
    ...rows(POSTPROCESS_FIELDS),
    ...rows(PAMR_FIELDS, 'pamr.'),
  ]) {
    t.ok(lines.includes(line), line)
  }
  const described = lines
    .slice(lines.indexOf('| option | what it is | what it may be | default |') + 2)
    .map(line => /^\| `([\w.]+)`/.exec(line)?.[1])
  for (const name of ['templates', 'text', 'definitions', 'background'])
    t.ok(described.includes(name))
})

t.test('every value of every preset is one that a caller may give', async t => {
  const fields: Fields = {
    ...DENSE_FIELDS,
    ...PIPELINE_FIELDS,
    ...BANK_FIELDS,
    ...POSTPROCESS_FIELDS,
    ...PROMPT_FIELDS,
    ...PROXY_FIELDS,
  }
  for (const method of METHOD_NAMES) {
    const { preset, datasets } = METHODS[method]
    for (const values of [preset, ...Object.values(datasets).map(({ changes }) => changes)]) {
      for (const [name, value] of Object.entries(values)) {
        if (name === 'templates' || value === 'patch') continue
        t.ok(fields[name]?.holds(value), `${method}: ${name} ${value}`)
      }
    }
  }
  t.same(
    METHOD_OPTIONS.filter(name => fields[name] === undefined),
    [
      'corrclip',
      'bank',
      'catSeg',
      'denseMode',
      'method',
      'dataset',
      'masks',
      'proxy',
      'scclip',
      'templates',
      'text',
    ],
  )
})

t.test('defaults that the core repeats are the same there', async t => {
  const read = (path: string) => readFileSync(join(packageRoot, 'cpp', path), 'utf8')
  const number = (text: string, name: string) => {
    const found = new RegExp(`\\b${name}\\s*=\\s*([\\d.]+);`).exec(text)
    return found ? Number(found[1]) : `no ${name}`
  }
  const dense = read('include/declip/dense.h')
  const { itaclip, naclip, proxyclip } = METHODS
  t.equal(number(dense, 'gaussian_std'), naclip.preset.gaussianStd)
  t.equal(number(dense, 'proxy_beta'), proxyclip.preset.beta)
  t.equal(number(dense, 'proxy_gamma'), proxyclip.preset.gamma)
  for (const [name, value] of Object.entries(SCCLIP_NUMBERS)) {
    const own = name.replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)
    t.equal(number(dense, own), value, own)
  }
  t.match(dense, new RegExp(`self_attention = ${itaclip.preset.selfAttention};`))
  const corr = dense.slice(dense.indexOf('struct CorrClipOptions'))
  t.equal(String(number(corr, 'merge_distance')), CORRCLIP_FIELDS.mergeDistance.default)
  t.equal(String(number(corr, 'gain')), CORRCLIP_FIELDS.gain.default)
  t.equal(String(number(corr, 'spatial_weight')), CORRCLIP_FIELDS.spatialWeight.default)
  t.equal(String(number(corr, 'semantic_weight')), CORRCLIP_FIELDS.semanticWeight.default)
  const post = read('include/declip/pipeline.h')
  t.equal(number(read('include/declip/encoded_image.h'), 'long_side'), itaclip.preset.longSide)
  t.equal(number(post, 'logit_scale'), itaclip.preset.logitScale)
  const { dilations } = itaclip.preset.pamr as PamrOptions
  t.match(
    read('model/recipe.cpp'),
    new RegExp(`earlier_blocks = \\{${itaclip.preset.layers?.join(', ')}\\}`),
  )
  t.match(post, new RegExp(`pamr_dilations\\{${dilations.join(', ')}\\};`))
})
