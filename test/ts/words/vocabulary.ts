import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Progress } from '../../../ts/base/call.js'
import type { NativeCancelToken, NativeTensor } from '../../../ts/engine/addon-types.js'
import { DeclipError } from '../../../ts/errors.js'
import { datasets } from '../../../ts/methods/list.js'
import type { ClassList, VocabularyOptions } from '../../../ts/words/options.js'
import { Vocabulary } from '../../../ts/words/vocabulary.js'
import type { TextModel, TextSide } from '../../../ts/words/word-features.js'

const code = 'ERR_DECLIP_INVALID_ARG'
const WIDTH = 8
const CONTEXT = 77

type Values = Float32Array | Int32Array

class FakeTensor {
  disposed = false
  constructor(
    readonly values: Values,
    readonly shape: number[],
    readonly dtype = 'float32',
  ) {}
  async data() {
    return this.values.slice().buffer
  }
  dispose() {
    this.disposed = true
  }
}

const fake = (tensor: NativeTensor) => tensor as unknown as FakeTensor
const native = (tensor: FakeTensor) => tensor as unknown as NativeTensor

/** The feature of a prompt in a model with this seed: any fixed function of the text will do. */
function promptFeature(seed: number, prompt: string): number[] {
  const bytes = createHash('sha256').update(`${seed} ${prompt}`).digest()
  return Array.from({ length: WIDTH }, (_, i) => bytes.readInt16LE(2 * i) / 32768)
}

const length = (v: readonly number[]) => Math.hypot(...v)
const unit = (v: readonly number[]) => v.map(x => x / length(v))

/** Mean of normalised prompt features, normalised: in float64, from the prompts as written here. */
function ensemble(seed: number, prompts: readonly string[]): number[] {
  const rows = prompts.map(prompt => unit(promptFeature(seed, prompt)))
  return unit(rows[0]?.map((_, d) => rows.reduce((sum, row) => sum + (row[d] as number), 0)) ?? [])
}

interface Counts {
  words: string[][]
  live: Set<FakeTensor>
}

/** A text tower without a network: prompts travel as the ids of a list. */
function fakeModel(seed = 1, text = true): TextModel & Counts {
  const prompts: string[] = []
  const words: string[][] = []
  const live = new Set<FakeTensor>()
  const files = new Map<
    string,
    { tensors: Record<string, FakeTensor>; metadata: Record<string, string> }
  >()
  const track = (tensor: FakeTensor) => {
    live.add(tensor)
    const dispose = tensor.dispose.bind(tensor)
    tensor.dispose = () => {
      live.delete(tensor)
      dispose()
    }
    return native(tensor)
  }
  class CancelToken implements NativeCancelToken {
    cancelled = false
    cancel() {
      this.cancelled = true
    }
  }
  return {
    words,
    live,
    addon: {
      CancelToken,
      tensor: (data, shape, dtype) =>
        track(new FakeTensor((data as Values).slice(), [...shape], dtype)),
      mixText: async ({ names, auxiliary, index, weight }) => {
        const out = Float32Array.from(fake(names).values)
        index.forEach((row, q) => {
          for (let d = 0; row >= 0 && d < WIDTH; d++) {
            const at = q * WIDTH + d
            out[at] =
              (1 - weight) * (out[at] as number) +
              weight * (fake(auxiliary).values[row * WIDTH + d] as number)
          }
        })
        return track(new FakeTensor(out, [...names.shape]))
      },
      writeSafetensors: async ({ path, tensors, metadata }) => {
        const copies = Object.entries(tensors).map(([name, tensor]) => {
          const { values, shape } = fake(tensor)
          return [name, new FakeTensor(values.slice(), [...shape])] as const
        })
        files.set(path, { tensors: Object.fromEntries(copies), metadata })
      },
      readSafetensors: async ({ path }) => {
        const file = shared.get(path) ?? files.get(path)
        if (!file) throw Object.assign(new Error(`no file ${path}`), { code: 'ERR_DECLIP_IO' })
        shared.set(path, file)
        return {
          tensors: Object.fromEntries(Object.entries(file.tensors).map(([k, v]) => [k, native(v)])),
          metadata: file.metadata,
        }
      },
    },
    native: {
      info: {
        family: 'clip',
        embedDim: WIDTH,
        textFingerprint: text ? `text ${seed}` : '',
        text: text
          ? {
              width: 8,
              layers: 2,
              heads: 1,
              contextLength: CONTEXT,
              vocab: 49408,
              activation: 'gelu',
              causal: true,
              pool: 'end' as const,
              endToken: null,
            }
          : null,
      },
      encodeWords: async ({ tokens, templates, token }) => {
        await new Promise(resolve => setImmediate(resolve))
        if ((token as CancelToken).cancelled) throw new Error('stopped')
        const ids = fake(tokens).values
        const texts = Array.from(
          { length: ids.length / CONTEXT },
          (_, i) => prompts[ids[i * CONTEXT] as number] as string,
        )
        const groups = Array.from({ length: texts.length / templates }, (_, q) =>
          texts.slice(q * templates, (q + 1) * templates),
        )
        words.push(groups.map(group => group.at(-1) as string))
        const rows = groups.flatMap(group => ensemble(seed, group))
        return track(new FakeTensor(Float32Array.from(rows), [groups.length, WIDTH]))
      },
    },
    tokenizer: {
      tokenize: (texts: string | readonly string[], options = {}) => {
        if (options.truncate !== false) throw new Error('texts must not be cut')
        const list = typeof texts === 'string' ? [texts] : texts
        const data = new Int32Array(list.length * CONTEXT)
        list.forEach((prompt, i) => {
          if (prompt.split(' ').length > CONTEXT - 2) throw new DeclipError(code, 'too long.')
          data[i * CONTEXT] = prompts.push(prompt) - 1
        })
        return { data, shape: [list.length, CONTEXT] as const }
      },
    },
  }
}

/** Files written by one fake model and read by another. */
const shared = new Map<
  string,
  { tensors: Record<string, FakeTensor>; metadata: Record<string, string> }
>()

const asModel = (textModel: TextModel) => ({ textModel }) as unknown as TextSide
const rowsOf = (vocabulary: Vocabulary) => {
  const { values } = fake(vocabulary.features.native)
  return vocabulary.words.map((_, q) => [...values.slice(q * WIDTH, (q + 1) * WIDTH)])
}

/** Equal up to float32 rounding. */
const near = (got: readonly number[] | undefined, expected: readonly number[]) =>
  got?.length === expected.length && expected.every((x, d) => Math.abs(x - (got[d] ?? 2)) < 1e-6)

const TEMPLATES = ['a photo of a {}.', 'the {}.']
const feature = (word: string) => ensemble(1, [`a photo of a ${word}.`, `the ${word}.`])
const mixed = (word: string, text: string, weight: number) =>
  feature(word).map((x, d) => (1 - weight) * x + weight * (feature(text)[d] as number))

t.test('words as lists are taken as they are', async t => {
  const { classes, words } = await Vocabulary.build(
    fakeModel(),
    ['sky', ['Washington, DC', 'capital; city'], 'cat, kitten'],
    { templates: 'none' },
  )
  t.strictSame(classes, ['sky', 'Washington, DC', 'cat'])
  t.strictSame(words, ['sky', 'Washington, DC', 'capital; city', 'cat', 'kitten'])
})

t.test('a list that is likely not what was meant is warned about', async t => {
  const warned: string[] = []
  const listen = ({ name, message }: Error) => name === 'DeclipWarning' && warned.push(message)
  process.on('warning', listen)
  t.teardown(() => process.off('warning', listen))
  const build = async (classes: ClassList, options: VocabularyOptions = {}) => {
    warned.length = 0
    await Vocabulary.build(fakeModel(), classes, { templates: 'none', ...options })
    await new Promise(setImmediate)
    return warned.join()
  }
  t.match(
    await build(['heath;dog;tree']),
    /one class only, 'heath' with the synonyms 'dog', 'tree'/,
  )
  t.equal(await build(['heath, dog'], { background: ['sky'] }), '')
  t.equal(await build(['heath']), '')
  t.match(await build(['fog', 'elk', 'Elk']), /Classes 1 and 2 .* are both 'Elk'/)
  t.match(await build(['fog', 'elk, deer', 'deer, elk']), /Classes 1 and 2/)
  t.equal(await build(['fog', 'elk, deer', 'elk']), '', 'published lists share words')
})

t.test("words, classes and background of the reference's files", async t => {
  const golden = new URL('../../fixtures/itaclip-pipeline/', import.meta.url)
  const path = (name: string) => new URL(name, golden).pathname
  const { cases } = JSON.parse(readFileSync(path('manifest.json'), 'utf8'))
  const expected = (id: string) =>
    cases.find((c: { id: string }) => c.id === id).options.query_class

  const full = await Vocabulary.build(fakeModel(), path('names.txt'), {
    templates: TEMPLATES,
    definitions: path('definitions.txt'),
    definitionWeight: 0.05,
  })
  t.strictSame([...full.wordClass], expected('full'))
  t.equal(full.background, 0, 'one definition fewer than classes')
  t.equal(full.classes.length, 21)
  t.strictSame([full.classes[0], full.classes[8]], ['sky', 'kitten'])
  const rows = rowsOf(full)
  t.ok(near(rows[0], feature('sky')), 'background words are not mixed')
  t.ok(near(rows[5], feature('water')), 'the last background word')
  const pet = 'a young, furry pet that purrs.'
  t.ok(near(rows[13], mixed('kitten', pet, 0.05)), 'a name')
  t.ok(near(rows[14], mixed('tabby cat', pet, 0.05)), 'its synonym shares the definition')
  t.ok(
    near(rows[27], mixed('flat screen', 'a thin display that shows pictures.', 0.05)),
    'the last',
  )
  t.not(length(rows[13] as number[]).toFixed(4), '1.0000', 'not normalised again')

  const bare = await Vocabulary.build(fakeModel(), path('names-no-background.txt'))
  t.strictSame([...bare.wordClass], expected('no-background'))
  t.equal(bare.background, -1)
  t.ok(near([length(rowsOf(bare)[3] as number[])], [1]), 'plain names have length 1')
})

t.test('which class is the background', async t => {
  const build = async (options: VocabularyOptions, classes: ClassList = ['sky', 'cat', 'sofa']) =>
    (await Vocabulary.build(fakeModel(), classes, { templates: 'none', ...options })).background
  t.equal(await build({}), -1)
  t.equal(await build({ background: true }), 0)
  t.equal(await build({ background: 2 }), 2)
  t.equal(await build({ background: false }, ['background', 'cat']), -1)
  t.equal(await build({}, ['cat', 'Background, sky']), 1)
  t.equal(await build({ definitions: ['x', 'y'] }), 0)
  t.equal(await build({ definitions: ['x', 'y', 'z'] }), -1)
  t.equal(await build({ background: 1, synonyms: ['x', 'y'] }), 1)
  for (const background of [3, -1, 0.5, 'sky', [], ['a', ' '], null]) {
    await t.rejects(build({ background } as VocabularyOptions), {
      code,
      message: /background must be/,
    })
  }
  const short = build({ definitions: ['x'] })
  await t.rejects(short, { code, message: /each class: expected 3, received 1/ })
  const long = build({ background: 1, definitions: ['x', 'y', 'z'] })
  await t.rejects(long, { code, message: /but the background 'cat': expected 2, received 3/ })
})

t.test('background words as a list, definitions around a background in the middle', async t => {
  const options = { templates: TEMPLATES, definitionWeight: 0.3 }
  const listed = await Vocabulary.build(fakeModel(), ['cat', 'sofa'], {
    ...options,
    background: ['sky', 'wall'],
    definitions: ['pet', 'seat'],
  })
  t.strictSame(listed.classes, ['background', 'cat', 'sofa'])
  t.strictSame(listed.words, ['sky', 'wall', 'cat', 'sofa'])
  t.strictSame([...listed.wordClass], [0, 0, 1, 2])
  t.ok(near(rowsOf(listed)[1], feature('wall')), 'wall')
  t.ok(near(rowsOf(listed)[3], mixed('sofa', 'seat', 0.3)), 'sofa')

  const middle = await Vocabulary.build(fakeModel(), ['cat', 'background', 'sofa'], {
    ...options,
    synonyms: ['pet', 'seat'],
  })
  t.strictSame(middle.background, 1)
  t.ok(near(rowsOf(middle)[0], mixed('cat', 'pet', 0.3)), 'before the background')
  t.ok(near(rowsOf(middle)[1], feature('background')), 'the background')
  t.ok(near(rowsOf(middle)[2], mixed('sofa', 'seat', 0.3)), 'after the background')
})

t.test('a language model writes definitions for the foreground', async t => {
  const asked: string[] = []
  const steps = new Set<string>()
  const vocabulary = await Vocabulary.build(fakeModel(), ['background', 'cat, feline', 'sofa'], {
    templates: TEMPLATES,
    definitions: async prompt => {
      asked.push(prompt)
      return prompt.includes('cat') ? '"a pet."' : 'a seat.'
    },
    onProgress: ({ step }: Progress) => steps.add(step),
  })
  t.equal(asked.length, 2)
  t.ok(near(rowsOf(vocabulary)[2], mixed('feline', 'a pet.', 0.2)), 'default weight')
  t.strictSame([...steps].sort(), ['definitions', 'text'])
})

t.test('features of words are made once per model, templates and word', async t => {
  const model = fakeModel()
  const encoded = () => model.words.flat().filter(word => !word.includes('object'))
  await Vocabulary.build(model, ['cat', 'sofa', 'cat'], { templates: 'none' })
  t.strictSame(encoded(), ['cat', 'sofa'])
  await Vocabulary.build(model, ['bus', 'cat'], { templates: 'none' })
  t.strictSame(encoded(), ['cat', 'sofa', 'bus'])
  await Vocabulary.build(model, ['cat'], { templates: ['{}', 'my {}'] })
  t.equal(encoded().length, 4, 'other templates are other features')
  const other = fakeModel(2)
  await Vocabulary.build(other, ['cat'], { templates: 'none' })
  t.equal(other.words.flat().length, 2, 'another model starts anew')

  const many = Array.from({ length: 4200 }, (_, i) => `word${i}`)
  const large = await Vocabulary.build(model, many, { templates: 'none' })
  t.ok(near(rowsOf(large)[4199], ensemble(1, ['word4199'])), 'more words than the cache holds')
  const before = encoded().length
  await Vocabulary.build(model, ['word4199', 'word0'], { templates: 'none' })
  t.strictSame(encoded().slice(before), ['word0'], 'the oldest went first')
})

t.test('native tensors are given back', async t => {
  const model = fakeModel()
  const vocabulary = await Vocabulary.build(model, ['cat', 'sofa'], { definitions: ['x', 'y'] })
  t.equal(model.live.size, 1, 'only the features are left')
  vocabulary[Symbol.dispose]()
  vocabulary.dispose()
  t.equal(model.live.size, 0)
})

t.test('save and load', async t => {
  const writer = fakeModel()
  const path = join(t.testdirName, 'v.safetensors')
  const first = await Vocabulary.build(writer, ['sky, wall', 'cat'], {
    templates: TEMPLATES,
    background: true,
    definitions: ['pet'],
  })
  await first.save(path)
  const file = await writer.addon.readSafetensors({ path })
  const again = await Vocabulary.load(path, { model: asModel(fakeModel()) })
  for (const name of [
    'classes',
    'words',
    'wordClass',
    'background',
    'templates',
    'modelKey',
  ] as const) {
    t.strictSame(again[name], first[name], name)
  }
  t.strictSame(rowsOf(again), rowsOf(first))

  await t.rejects(Vocabulary.load(path, { model: asModel(fakeModel(2)) }), {
    code,
    message: /another model/,
  })
  await t.rejects(Vocabulary.load(path, { model: asModel(fakeModel(1, false)) }), { code })
  await t.rejects(first.verify(fakeModel(3)), { code, message: /clip, text 8 x 2, 8 features/ })
  const same = fakeModel(1)
  await t.resolves(first.verify(same))
  t.equal(same.words.length, 0, 'the fingerprint tells: nothing is encoded')
  await t.rejects(Vocabulary.load('none', { model: asModel(fakeModel()) }), {
    code: 'ERR_DECLIP_IO',
  })
  await t.rejects(Vocabulary.load(7 as never, { model: asModel(fakeModel()) }), { code })

  t.test('a damaged file is named with what is wrong', async t => {
    const fields = JSON.parse(file.metadata['vocabulary'] as string)
    const ok = shared.get(path) as NonNullable<ReturnType<typeof shared.get>>
    const load = (change: {
      tensors?: object
      metadata?: Record<string, string>
      fields?: object
    }) => {
      const vocabulary = JSON.stringify({ ...fields, ...change.fields })
      shared.set('bad', {
        tensors: Object.fromEntries(
          Object.entries({ ...ok.tensors, ...change.tensors }).filter(([, tensor]) => tensor),
        ),
        metadata: { ...ok.metadata, vocabulary, ...change.metadata },
      })
      return Vocabulary.load('bad', { model: asModel(fakeModel()) })
    }
    await t.resolves(load({}), 'the unchanged copy')
    const bad = (change: Parameters<typeof load>[0], message: RegExp) =>
      t.rejects(load(change), { code, message })
    await bad({ metadata: { format: 'pt' } }, /^bad is not a usable vocabulary: metadata\.format/)
    await bad({ metadata: { vocabulary: '{' } }, /not JSON/)
    await bad({ metadata: { vocabulary: 'null' } }, /classes must be/)
    await bad({ fields: { classes: [] } }, /classes/)
    await bad({ fields: { words: ['a', 7, 'b'] } }, /words/)
    await bad({ fields: { wordClass: [0, 0] } }, /wordClass/)
    await bad({ fields: { wordClass: [0, 0, 2] } }, /wordClass .* 0 to 1/)
    await bad({ fields: { background: 2 } }, /background/)
    await bad({ fields: { templates: null } }, /templates/)
    await bad({ fields: { modelKey: 1 } }, /modelKey/)
    await bad({ fields: { fingerprint: 1 } }, /fingerprint/)
    await t.resolves(load({ fields: { fingerprint: undefined } }), 'a text is compared then')
    await bad({ tensors: { features: undefined } }, /no tensor 'features'/)
    await bad(
      { tensors: { probe: new FakeTensor(new Float32Array(WIDTH), [1, WIDTH], 'int32') } },
      /float32/,
    )
    await bad(
      { tensors: { features: new FakeTensor(new Float32Array(WIDTH), [1, WIDTH]) } },
      /\[3, 8\], found \[1, 8\]/,
    )
    const nan = new FakeTensor(new Float32Array(3 * WIDTH).fill(Number.NaN), [3, WIDTH])
    await bad({ tensors: { features: nan } }, /not finite/)
    await bad(
      {
        tensors: { probe: new FakeTensor(new Float32Array(WIDTH), [1, WIDTH]) },
        fields: { fingerprint: 'of another file' },
      },
      /another model/,
    )
  })
})

t.test('abort', async t => {
  const model = fakeModel()
  const aborted = { code: 'ERR_DECLIP_ABORTED', name: 'AbortError', cause: 'enough' }
  const signal = AbortSignal.abort('enough')
  await t.rejects(Vocabulary.build(model, ['cat'], { signal }), aborted)
  t.equal(model.words.length, 0)

  const controller = new AbortController()
  const call = Vocabulary.build(model, ['cat'], { signal: controller.signal })
  setImmediate(() => controller.abort('enough'))
  await t.rejects(call, aborted)
  t.equal(model.live.size, 0, 'nothing is left behind')
})

t.test('what is refused', async t => {
  const build = (classes: unknown, options: object = {}) =>
    Vocabulary.build(fakeModel(), classes as ClassList, options)
  await t.rejects(build(7), { code, message: /classes must be a list/ })
  await t.rejects(build(['cat', 7]), { code })
  await t.rejects(build([]), { code, message: /1 to 65536 classes/ })
  for (const blank of [
    ['cat', ''],
    ['cat', '', ''],
    ['cat', ' ', 'dog'],
    ['cat', 'dog', []],
  ]) {
    await t.rejects(build(blank), { code, message: /^classes\[\d\]/ }, JSON.stringify(blank))
  }
  await t.rejects(build(['', 'cat']), { code, message: /^classes\[0\]: a class needs a name/ })
  await t.rejects(build(['sky', 42]), {
    code,
    message: 'classes[1] must be text, or a list of words, received 42.',
  })
  await t.rejects(build(['sky', ['cat', null]]), { code, message: /^classes\[1\] must be text/ })
  await t.rejects(build('cat, dog'), {
    code: 'ERR_DECLIP_IO',
    message: /There is no class file 'cat, dog'. A text is the path .* given as a list/,
  })
  await t.rejects(build(['sky', 'cat, kitten', 'dog; puppy']), {
    code,
    message:
      /^classes\[2\]: .* semicolon here \('dog; puppy'\) .* comma in classes\[1\] \('cat, kit/,
  })
  await t.rejects(build(['cat'], { definitionWeight: 2 }), { code, message: /definitionWeight/ })
  await t.rejects(build(['cat'], { templates: 'all' }), { code, message: /templates/ })
  await t.rejects(build(['cat'], { definitions: ['x'], synonyms: ['y'] }), {
    code,
    message: /exclude/,
  })
  await t.rejects(build(['cat'], { definitions: [' '] }), { code, message: /definitions must be/ })
  await t.rejects(build(['cat'], { synonyms: 7 }), { code, message: /synonyms must be/ })
  const long = 'very '.repeat(80)
  await t.rejects(build(['cat', `${long}dog`]), { code, message: /text of class 'very.*too long/ })
  await t.rejects(build(['cat', 'dog'], { definitions: ['x', long] }), {
    code,
    message: /definition or synonym of class 'dog' cannot be encoded: too long/,
  })
  await t.rejects(Vocabulary.build(fakeModel(1, false), ['cat']), { code: 'ERR_DECLIP_WEIGHTS' })
})

t.test("the papers' own words", async t => {
  const { classes, background, synonyms } = datasets('itaclip', 'coco-object')
  const vocabulary = await Vocabulary.build(fakeModel(), classes, {
    templates: 'none',
    background,
    synonyms,
    definitionWeight: 0.1,
  })
  t.equal(vocabulary.classes.length, 81)
  t.equal(vocabulary.background, 0)
  t.equal(vocabulary.words.length, 26 + 9 + 6 + 78)
})
