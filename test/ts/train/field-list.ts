import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { packageRoot } from '../../../ts/base/package-files.js'
import { type FieldInfo, fieldList } from '../../../ts/train/field-list.js'

const guide = readFileSync(join(packageRoot, 'docs/guides/training.md'), 'utf8')

const row = ({ name, value, range, text }: FieldInfo): string => {
  const given = value === '' || value === 'required' ? value : `\`${value}\``
  return `| \`${name}\` | ${range} | ${given} | ${text} |`
}

t.test('the guide has a row for every field, as the code describes it', t => {
  const table = guide.slice(guide.indexOf('<!-- declip train --fields -->'))
  const rows = table.split('\n').filter(line => line.startsWith('| `'))
  t.same(rows, fieldList().map(row))
  t.end()
})

t.test('every field says what it is and may be', t => {
  for (const { name, range, text } of fieldList()) {
    t.ok(text.length > 2, name)
    const nested = fieldList().some(other => other.name.startsWith(`${name}.`))
    t.equal(range === '', nested, name)
  }
  t.match(fieldList(), [{ name: 'objective', value: 'required' }])
  t.end()
})
