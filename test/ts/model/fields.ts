import t from 'tap'
import type { Fields, OptionsOf } from '../../../ts/base/field.js'
import {
  CONFIG_FIELDS,
  ENCODE_FIELDS,
  LOAD_FIELDS,
  REGION_FIELDS,
  regionSize,
} from '../../../ts/model/fields.js'
import type { ConfigOptions, EncodeRegionOptions } from '../../../ts/model/options.js'
import { entriesOf } from '../../../ts/train/config.js'
import { trainConfig } from '../../../ts/train/config-fields.js'
import { comment, commentsOf } from '../../support/fields.js'

const FILE = 'ts/model/options.ts'
const TABLES: [string, Fields, others: string[]][] = [
  ['LoadOptions', LOAD_FIELDS, ['config']],
  ['ConfigOptions', CONFIG_FIELDS, []],
  ['EncodeImageOptions', ENCODE_FIELDS, ['positions']],
  ['EncodeDenseOptions', ENCODE_FIELDS, []],
  ['EncodeRegionOptions', REGION_FIELDS, []],
]

/** Compiled, not run. */
const config = {} as OptionsOf<typeof CONFIG_FIELDS> satisfies {
  [K in keyof ConfigOptions]?: ConfigOptions[K] | undefined
}
const regions = {} as OptionsOf<typeof REGION_FIELDS> satisfies EncodeRegionOptions

t.test('the comments of the interfaces say what the fields say', async t => {
  t.ok(config && regions)
  for (const [name, fields, others] of TABLES) {
    const comments = commentsOf(FILE, name)
    t.strictSame(Object.keys(comments).sort(), [...Object.keys(fields), ...others].sort(), name)
    for (const [option, field] of Object.entries(fields)) {
      t.equal(comments[option], comment(field), `${name}.${option}`)
    }
  }
})

t.test('a training configuration tells a model by the same names', async t => {
  const told = entriesOf(entriesOf(trainConfig)?.['modelConfig']) ?? {}
  for (const name of Object.keys(told)) t.ok(Object.hasOwn(CONFIG_FIELDS, name), name)
})

t.test('the square of regions holds a patch at least', async t => {
  const { holds, range } = regionSize(16)
  t.same([15, 16, 16384, 16385, 20.5, '64'].map(holds), [false, true, true, false, false, false])
  t.equal(range, '16 (one patch) to 16384 pixels')
})
