import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Fields } from '../../../ts/base/field.js'
import { packageRoot } from '../../../ts/base/package-files.js'
import {
  DETECTOR_FIELDS,
  DETECTOR_INPUT_FIELDS,
  PROPOSAL_FIELDS,
} from '../../../ts/model/detector-fields.js'
import { comment, commentsOf, rows } from '../../support/fields.js'

const TABLES: [string, Fields, others: string[]][] = [
  ['ProposalOptions', PROPOSAL_FIELDS, []],
  ['DetectorInputOptions', DETECTOR_INPUT_FIELDS, ['proposals']],
  ['DetectorQuestionOptions', DETECTOR_FIELDS, []],
]

t.test('the comments of the interfaces say what the fields say', async t => {
  for (const [name, fields, others] of TABLES) {
    const comments = commentsOf('ts/model/detector-options.ts', name)
    t.strictSame(Object.keys(comments).sort(), [...Object.keys(fields), ...others].sort(), name)
    for (const [option, field] of Object.entries(fields)) {
      t.equal(comments[option], comment(field), `${name}.${option}`)
    }
  }
})

t.test('the guide has every option as the fields have it', async t => {
  const guide = readFileSync(join(packageRoot, 'docs/guides/detectors.md'), 'utf8')
  for (const row of [
    ...rows(DETECTOR_FIELDS),
    ...rows(DETECTOR_INPUT_FIELDS),
    ...rows(PROPOSAL_FIELDS, 'proposals.'),
  ]) {
    t.ok(guide.includes(row), row)
  }
})
