/** The words of options as comments and tables have them. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import type { Field, Fields } from '../../ts/base/field.js'
import { packageRoot } from '../../ts/base/package-files.js'

/** The comment of an option: what it is, its range where the type does not say it, its default. */
export function comment({ text, range, default: standard }: Field): string {
  const bounds = /^(a|null|false) /.test(range) ? `: ${range}` : ''
  return `${text}${bounds}.${standard === '' ? '' : ` Default: ${standard}.`}`
}

/** The row of an option in a guide. */
export const row = (name: string, { text, range, default: standard }: Field): string =>
  `| \`${name}\` | ${text} | ${range} | ${standard} |`

export const rows = (fields: Fields, prefix = ''): string[] =>
  Object.entries(fields).map(([name, field]) => row(prefix + name, field))

/** The members of an interface with their comments, as one line each. */
export function commentsOf(file: string, name: string): Record<string, string> {
  const text = readFileSync(join(packageRoot, file), 'utf8')
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.ES2022, true)
  const found = source.statements.find(
    statement => ts.isInterfaceDeclaration(statement) && statement.name.text === name,
  ) as ts.InterfaceDeclaration
  return Object.fromEntries(
    found.members.map(member => {
      const [doc] = ts.getJSDocCommentsAndTags(member)
      const words = doc ? (ts.getTextOfJSDocComment(doc.comment) ?? '') : ''
      return [(member.name as ts.Identifier).text, words.replace(/\s+/g, ' ')]
    }),
  )
}
