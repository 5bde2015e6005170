import { mkdirSync, readFileSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import {
  doubtAbout,
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

t.test('words are separated by commas or by semicolons, with or without blanks', async t => {
  t.strictSame(parseClasses(['cat, feline', 'sofa']), [['cat', 'feline'], ['sofa']])
  t.strictSame(parseClasses(['cat,feline', 'sofa , couch']), [
    ['cat', 'feline'],
    ['sofa', 'couch'],
  ])
  t.strictSame(parseClasses(['cat; feline', 'sofa;couch']), [
    ['cat', 'feline'],
    ['sofa', 'couch'],
  ])
  t.strictSame(parseClasses(['1,000 islands, lakes', 'no. 1, no. 2', '3,5']), [
    ['1,000 islands', 'lakes'],
    ['no. 1', 'no. 2'],
    ['3,5'],
  ])
  t.strictSame(parseClasses(['cat, feline; tom', 'sofa']), [['cat, feline', 'tom'], ['sofa']])
})

t.test('one list has one separator', async t => {
  for (const lines of [
    ['sky', 'cat, feline', 'dog; puppy'],
    ['dog;puppy', 'cat,feline'],
    ['dog, a; puppy', 'cat, feline'],
  ]) {
    t.throws(() => parseClasses(lines, undefined, 'f.txt'), {
      code,
      message:
        /^f\.txt, line \d: words are separated by a semicolon here .* by a comma in f\.txt, line/,
    })
  }
  t.strictSame(parseClasses(['cat, feline', 'dog; puppy'], '; '), [
    ['cat, feline'],
    ['dog', 'puppy'],
  ])
  t.strictSame(parseClasses(['cat,feline', 'dog; puppy'], ', '), [['cat,feline'], ['dog; puppy']])
  t.strictSame(parseClasses(['1,000; puppy'], ','), [['1', '000; puppy']])
})

t.test('what separates nothing is refused or told', async t => {
  t.throws(() => parseClasses(['cat\ndog']), { code, message: /line 1: a line break in a name/ })
  t.throws(() => parseInlineClasses('cat\ndog'), { code, message: /--classes, class 1: a line br/ })
  t.throws(() => parseInlineClasses('["cat", "dog"]'), { code, message: /this is JSON; write/ })
  t.match(doubtAbout([['cat . dog . tree']]), /'cat \. dog \. tree' is taken for one name/)
  t.match(doubtAbout([['sky'], ['cat|dog']]), /'cat\|dog' is taken for one name/)
  t.equal(doubtAbout([['sky'], ['TV/monitor', 'St. Bernard']]), null)
})

t.test('words as lists are not separated', async t => {
  t.strictSame(parseClasses(['cat, feline', ['Washington, DC'], ['a; b', ' c ']]), [
    ['cat', 'feline'],
    ['Washington, DC'],
    ['a; b', 'c'],
  ])
  t.throws(() => parseClasses(['cat', ['dog', ' ']]), {
    code,
    message: /line 2: a word is missing/,
  })
})

t.test("the command line's form", async t => {
  t.strictSame(parseInlineClasses('cat, feline; sofa; background'), [
    'cat, feline',
    'sofa',
    'background',
  ])
  t.strictSame(parseInlineClasses(' cat,feline ;sofa; '), ['cat, feline', 'sofa'])
  t.throws(() => parseInlineClasses('cat;;sofa'), {
    code,
    message: /--classes, class 2: a class needs a name/,
  })
  for (const text of ['', ';', 'cat;;', ';cat', 'cat; ;', 'cat,;sofa']) {
    t.throws(() => parseInlineClasses(text), { code }, text)
  }
  t.strictSame(parseInlineClasses('1,000 islands; lake'), ['1,000 islands', 'lake'])
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
  await t.rejects(read('gap.txt'), {
    code,
    message: /gap\.txt, line 2: a class needs a name, found a blank/,
  })
  await t.rejects(read('empty.txt'), { code, message: /1 to 65536 classes, found 0/ })
  await t.rejects(read('missing.txt'), { code, message: /missing\.txt, line 2: a word is missing/ })
  await t.rejects(read('trailing.txt'), { code, message: /trailing\.txt, line 2/ })
  t.strictSame(await readDefinitionFile(join(dir, 'definitions.txt')), [
    { name: 'cat', text: ' a pet. ' },
    { name: 'sofa', text: 'a seat ' },
  ])
})

t.test('lists in other forms are refused', async t => {
  const forms: [text: string, message: RegExp][] = [
    ['["background", "dog"]', /: this is JSON; a class file has one class per line/],
    ['[\n  "background",\n  "dog"\n]\n', /: this is JSON/],
    ['{ "0": "background" }', /: this is JSON/],
    ['background\t0\ndog\t1\n', /, line 1: a tab, as tables have it/],
    ['"background"\n"dog"\n', /, line 1: names stand without quotes/],
    ['background\n"dog","puppy"\n', /, line 2: names stand without quotes/],
    ['# classes\nbackground\n', /, line 1: a comment would be a class/],
    ['0,background\n1,dog\n2,tree\n', /: its lines are numbered/],
    ['id,name\n1,background\n2,dog\n', /: its lines are numbered/],
    ['1: background\n2: dog\n', /: its lines are numbered/],
  ]
  for (const [text, message] of forms) {
    const path = join(t.testdir({ 'list.txt': text }), 'list.txt')
    await t.rejects(readClassFile(path), { code, message }, text)
  }
  const plain = '3d printer\n[sic]\n747 airplane\n'
  const path = join(t.testdir({ 'plain.txt': plain }), 'plain.txt')
  t.strictSame((await readClassFile(path)).flat(), ['3d printer', '[sic]', '747 airplane'])
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
  await t.rejects(readDefinitionFile(join(dir, 'none.txt')), {
    code: 'ERR_DECLIP_IO',
    message: /Cannot read .*none\.txt: there is no such file/,
  })
  await t.rejects(readClassFile('cat, dog'), { message: /There is no class file 'cat, dog'/ })
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
