import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import t from 'tap'
import { parseDefinitions } from '../../../ts/text/class-files.js'
import { askAll, writeDefinitions } from '../../../ts/text/definitions.js'

const code = 'ERR_DECLIP_INVALID_ARG'

t.test('a definition file in class order, background left out', async t => {
  const prompts: string[] = []
  const file = await writeDefinitions(['cat, feline', 'background', 'sofa'], async prompt => {
    prompts.push(prompt)
    await sleep(prompt.includes('cat') ? 20 : 1)
    return prompt.includes('cat') ? ' "A small\n pet." ' : 'A seat.'
  })
  t.equal(file, 'cat >=A small pet.\nsofa >=A seat.\n')
  t.strictSame(
    parseDefinitions(file).map(line => line.text),
    ['A small pet.', 'A seat.'],
  )
  t.match(prompts[0], /"cat".*one short sentence/)
  t.notMatch(prompts[0], /feline/)
})

t.test('one prompt per class, at most four at a time, told of progress', async t => {
  let running = 0
  let most = 0
  const seen: number[] = []
  const names = Array.from({ length: 13 }, (_, i) => `class${i}`)
  const answer = async (prompt: string) => {
    most = Math.max(most, ++running)
    await sleep(2)
    running--
    return `text of ${prompt.match(/class\d+/)?.[0]}`
  }
  const texts = await askAll('definition', names, answer, {
    onProgress: ({ done, total }) => seen.push(done * 100 + total),
  })
  t.strictSame(
    texts,
    names.map(name => `text of ${name}`),
  )
  t.equal(most, 4)
  t.strictSame(
    seen,
    names.map((_, i) => (i + 1) * 100 + 13),
  )
})

t.test('answers are cleaned', async t => {
  const ask = async (kind: 'definition' | 'synonym', answer: string) =>
    (await askAll(kind, ['cat'], async () => answer, {}))[0]
  t.equal(await ask('synonym', ' "feline." '), 'feline')
  t.equal(await ask('synonym', '\u201cFeline\u201d'), 'Feline')
  t.equal(await ask('definition', "'a pet.'\r\n"), 'a pet.')
  t.equal(await ask('definition', 'a dog\u2019s\tfoe.'), 'a dog\u2019s foe.')
  await fc.assert(
    fc.asyncProperty(fc.string({ minLength: 1, maxLength: 40 }), async answer => {
      const text = await ask('definition', answer).catch((error: { code: string }) => {
        t.equal(error.code, code)
        return 'refused'
      })
      t.ok(text && text === text.trim() && !/[\n\r]/.test(text))
    }),
    { numRuns: 100 },
  )
})

t.test('failures name the class and stop the rest', async t => {
  const names = ['cat', 'sofa', 'bus', 'car', 'tree', 'road']
  const ask = (answer: (prompt: string) => unknown) =>
    askAll('synonym', names, async prompt => answer(prompt) as string, {})
  const of = (name: string, wrong: unknown) => (prompt: string) =>
    prompt.includes(name) ? wrong : 'word'
  await t.rejects(ask(of('bus', ' ')), { code, message: "The synonym of class 'bus' is empty." })
  await t.rejects(ask(of('bus', '"."')), { code, message: /'bus' is empty/ })
  await t.rejects(ask(of('sofa', 'x'.repeat(41))), { code, message: /'sofa' has 41 characters/ })
  await t.rejects(ask(of('cat', 7)), { code, message: /'cat' must be a string, received 7/ })
  await t.rejects(ask(of('cat', 'a >=b')), { code, message: /'cat' contains '>='/ })

  let asked = 0
  const cause = new Error('quota exceeded')
  const failing = askAll(
    'definition',
    names,
    async () => {
      asked++
      throw cause
    },
    {},
  )
  await t.rejects(failing, { code, message: /class 'cat' could not be had: quota exceeded/, cause })
  await sleep(5)
  t.ok(asked <= 4, `${asked} prompts`)
})

t.test('abort', async t => {
  const done = AbortSignal.abort('early')
  const never = async () => t.fail('asked after the abort') as never
  const early = { code: 'ERR_DECLIP_ABORTED', name: 'AbortError', cause: 'early' }
  await t.rejects(askAll('definition', ['cat'], never, { signal: done }), early)

  const controller = new AbortController()
  let asked = 0
  const hanging = () => {
    asked++
    return new Promise<string>(() => {})
  }
  const call = askAll('definition', new Array(20).fill('cat'), hanging, {
    signal: controller.signal,
  })
  setTimeout(() => controller.abort('late'), 5)
  await t.rejects(call, { code: 'ERR_DECLIP_ABORTED', cause: 'late' })
  t.equal(asked, 4)
})

t.test('wrong arguments', async t => {
  const answer = async () => 'x'
  await t.rejects(writeDefinitions('cat' as never, answer), { code, message: /classes/ })
  await t.rejects(writeDefinitions([7] as never, answer), { code })
  await t.rejects(writeDefinitions(['cat'], 'x' as never), { code, message: /answer/ })
  await t.rejects(writeDefinitions(['cat'], answer, { kind: 'poem' as never }), {
    code,
    message: /kind must be 'definition' or 'synonym', received 'poem'/,
  })
  t.equal(await writeDefinitions([], answer), '')
  t.equal(await writeDefinitions(['cat'], answer, { kind: 'synonym' }), 'cat >=x\n')
})
