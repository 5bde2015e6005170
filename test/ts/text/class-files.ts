import { mkdirSync, readFileSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import {
  parseClasses,
  parseDefinitions,
  parseInlineClasses,
  readClassFile,
  readDefinitionFile,
} from '../../../ts/text/class-files.js'

const golden = new URL('../../fixtures/itaclip-pipeline/', import.meta.url)
const code = 'ERR_DECLIP_INVALID_ARG'

t.test("the reference's class files give its class of every word", async t => {
  const { cases } = JSON.parse(readFileSync(new URL('manifest.json', golden), 'utf8')) as {
    cases: { id: string; options: { query_class?: number[] } }[]
  }
  for (const [id, file] of [
    ['full', 'names.txt'],
    ['no-background', 'names-no-background.txt'],
  ] as const) {
    const classes = await readClassFile(new URL(file, golden).pathname)
    const expected = cases.find(c => c.id === id)?.options.query_class
    t.ok(expected && expected.length > 0)
    t.strictSame(
      classes.flatMap((words, c) => words.map(() => c)),
      expected,
      id,
    )
  }
})

t.test("the reference's definitions", async t => {
  const texts = await readDefinitionFile(new URL('definitions.txt', golden).pathname)
  t.equal(texts.length, 20)
  t.strictSame(texts[6], { name: 'sedan', text: 'a closed car with four doors.' })
})

t.test('separators', async t => {
  t.strictSame(parseClasses(['cat, feline', 'sofa']), [['cat', 'feline'], ['sofa']])
  t.strictSame(parseClasses(['cat; feline', '1,000 islands']), [
    ['cat', 'feline'],
    ['1,000 islands'],
  ])
  t.strictSame(parseClasses(['cat, feline; tom']), [['cat, feline', 'tom']])
  t.strictSame(parseClasses(['cat,feline']), [['cat,feline']], 'a comma alone is part of a word')
  t.strictSame(parseClasses(['cat,feline'], ','), [['cat', 'feline']])
  t.strictSame(parseClasses(['a; b'], ', '), [['a; b']])
})

t.test("the command line's form", async t => {
  t.strictSame(parseInlineClasses('cat, feline; sofa; background'), [
    'cat, feline',
    'sofa',
    'background',
  ])
  t.strictSame(parseInlineClasses(' cat,feline ;sofa; '), ['cat, feline', 'sofa'])
  t.throws(() => parseInlineClasses('cat;;sofa'), { code, message: /--classes, line 2/ })
  t.throws(() => parseInlineClasses(''), { code })
})

t.test('words survive the way through a file of any separator', async t => {
  const word = fc.stringMatching(/^[a-z][a-z' -]{0,10}[a-z]$/)
  const classes = fc.array(fc.array(word, { minLength: 1, maxLength: 4 }), {
    minLength: 1,
    maxLength: 9,
  })
  fc.assert(
    fc.property(classes, fc.constantFrom(', ', '; ', ',' as const), (expected, separator) => {
      const lines = expected.map(words => words.join(separator))
      t.strictSame(parseClasses(lines, separator), expected)
      t.strictSame(
        parseInlineClasses(expected.map(w => w.join(',')).join(';')),
        expected.map(w => w.join(', ')),
      )
    }),
    { numRuns: 50 },
  )
})

t.test('line ends, byte order mark, blank lines', async t => {
  const dir = t.testdir({
    'crlf.txt': '\ufeffcat, feline\r\nsofa \r\n\r\n \r\n',
    'bare.txt': 'cat, feline\nsofa',
    'gap.txt': 'cat\n\nsofa\n',
    'empty.txt': '\n\n',
    'missing.txt': 'cat\nsofa, , couch\n',
    'trailing.txt': 'cat\nsofa, \n',
    'definitions.txt': '\ufeffcat >= a pet. \r\nsofa >=a seat >=x\r\n\r\n',
  })
  const read = (name: string) => readClassFile(join(dir, name))
  t.strictSame(await read('crlf.txt'), [['cat', 'feline'], ['sofa']])
  t.strictSame(await read('bare.txt'), [['cat', 'feline'], ['sofa']])
  await t.rejects(read('gap.txt'), { code, message: /gap\.txt, line 2: .*blank line/ })
  await t.rejects(read('empty.txt'), { code, message: /1 to 65536 classes, found 0/ })
  await t.rejects(read('missing.txt'), { code, message: /missing\.txt, line 2: a word is missing/ })
  await t.rejects(read('trailing.txt'), { code, message: /trailing\.txt, line 2/ })
  t.strictSame(await readDefinitionFile(join(dir, 'definitions.txt')), [
    { name: 'cat', text: ' a pet. ' },
    { name: 'sofa', text: 'a seat ' },
  ])
})

t.test('definitions that are none', async t => {
  t.throws(() => parseDefinitions('a >=b\nc: d\n', 'f.txt'), {
    code,
    message: /f\.txt, line 2.*'>='/,
  })
  t.throws(() => parseDefinitions('a >=b\n\nc >=d'), { code, message: /line 2/ })
  t.throws(() => parseDefinitions('a >= '), { code, message: /line 1/ })
  t.throws(() => parseDefinitions('\n'), { code })
})

t.test('hostile files', async t => {
  const dir = t.testdir({
    'latin1.txt': Buffer.from('cat\nsofa\ncaf\xe9\nbus\n', 'latin1'),
    'utf16.txt': Buffer.from('\ufeffcat\n', 'utf16le'),
    'nul.txt': 'cat\nso\0fa\n',
    'large.txt': '',
    'many.txt': 'x\n'.repeat(65_537),
    'cut.txt': Buffer.concat([Buffer.from('cat\n'), Buffer.from('é').subarray(0, 1)]),
  })
  truncateSync(join(dir, 'large.txt'), 2 ** 33)
  mkdirSync(join(dir, 'folder'))
  for (const [name, message] of Object.entries({
    'latin1.txt': /latin1\.txt, line 3: this is not UTF-8/,
    'utf16.txt': /utf16\.txt, line 1: this is not UTF-8/,
    'nul.txt': /nul\.txt, line 2: a NUL/,
    'large.txt': /large\.txt: class files have at most 8388608 bytes, this has 8589934592/,
    'many.txt': /many\.txt: there must be 1 to 65536 classes, found 65537/,
    'cut.txt': /cut\.txt, line 2: this is not UTF-8/,
    folder: /folder: this is not a file/,
  })) {
    await t.rejects(readClassFile(join(dir, name)), { code, message }, name)
  }
  await t.rejects(readClassFile('/dev/zero'), { code, message: /not a file/ })
  await t.rejects(readDefinitionFile(join(dir, 'none.txt')), { code: 'ERR_DECLIP_IO' })
})

t.test('random bytes are classes or a coded error', async t => {
  const dir = t.testdir({})
  const { writeFile } = await import('node:fs/promises')
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 60 }), async bytes => {
      const path = join(dir, 'random.txt')
      await writeFile(path, bytes)
      const classes = await readClassFile(path).catch((error: { code: string }) => error.code)
      t.ok(classes === code || (Array.isArray(classes) && classes.flat().every(w => w !== '')))
    }),
    { numRuns: 100 },
  )
})
