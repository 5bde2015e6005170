/** Blanks, and a bracket or mark, a text, or a number or name (RFC 8259; NaN and Infinity as Python writes them). */
const TOKEN =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: JSON refuses them within texts
  /[ \t\r\n]*([{}[\],:]|"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])|(?:true|false|null|NaN|-?Infinity)\b)/y
const BLANKS = /[ \t\r\n]*/y

/** What may come next. */
type Expected = 'value' | 'value or ]' | 'name' | 'name or }' | 'colon' | 'comma or end' | 'nothing'

const TEXTS: Readonly<Record<Expected, string>> = {
  value: 'a value',
  'value or ]': "a value or ']'",
  name: 'a name in quotes',
  'name or }': "a name in quotes or '}'",
  colon: "':'",
  'comma or end': "',' or the closing bracket",
  nothing: 'the end',
}

/** Where a text stops being JSON. @internal */
export interface JsonFault {
  /** In UTF-16 units. */
  readonly at: number
  /** 'a value'. */
  readonly expected: string
}

/**
 * The first place at which a text is no JSON, which JSON.parse() does not tell in every release of Node.
 *
 * @returns undefined where the text is JSON
 * @internal
 */
export function jsonFault(text: string): JsonFault | undefined {
  const open: ('{' | '[')[] = []
  let expected: Expected = 'value'
  for (let at = 0; ; ) {
    TOKEN.lastIndex = at
    const found = TOKEN.exec(text)
    const token = found?.[1]
    BLANKS.lastIndex = at
    const start = at + (BLANKS.exec(text)?.[0].length ?? 0)
    if (expected === 'nothing' && start === text.length) return undefined
    const next: Expected | undefined =
      token === undefined ? undefined : follow(token, expected, open)
    if (next === undefined) return { at: start, expected: TEXTS[expected] }
    expected = next
    at = TOKEN.lastIndex
  }
}

/** What may come after a token; undefined where it may not come itself. */
function follow(token: string, expected: Expected, open: ('{' | '[')[]): Expected | undefined {
  const after = (): Expected => (open.length === 0 ? 'nothing' : 'comma or end')
  const isValue = expected === 'value' || expected === 'value or ]'
  switch (token) {
    case '{':
    case '[':
      if (!isValue) return undefined
      open.push(token)
      return token === '{' ? 'name or }' : 'value or ]'
    case '}':
      if (open.at(-1) !== '{' || (expected !== 'name or }' && expected !== 'comma or end')) {
        return undefined
      }
      open.pop()
      return after()
    case ']':
      if (open.at(-1) !== '[' || (expected !== 'value or ]' && expected !== 'comma or end')) {
        return undefined
      }
      open.pop()
      return after()
    case ',':
      if (expected !== 'comma or end') return undefined
      return open.at(-1) === '{' ? 'name' : 'value'
    case ':':
      return expected === 'colon' ? 'value' : undefined
    default:
      if (token.startsWith('"') && (expected === 'name' || expected === 'name or }')) return 'colon'
      return isValue ? after() : undefined
  }
}
