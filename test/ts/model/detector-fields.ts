import t from 'tap'
import type { Fields } from '../../../ts/base/field.js'
import {
  DETECTOR_FIELDS,
  DETECTOR_INPUT_FIELDS,
  PROPOSAL_FIELDS,
} from '../../../ts/model/detector-fields.js'
import { comment, commentsOf } from '../../support/fields.js'

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
