import t from 'tap'
import { type MethodFlags, maskOptions, methodOptions } from '../../../ts/cli/method-options.js'
import type { ClassFlags } from '../../../ts/cli/shared.js'

const CLASSES = [['background'], ['cat', 'feline'], ['sofa']]
const options = async (flags: MethodFlags & Pick<ClassFlags, 'templates'>) => {
  const given = await methodOptions(flags, CLASSES)
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
}

t.test('what is not given is left to the preset', async t => {
  t.strictSame(await options({}), {})
})

t.test('every flag reaches the option of its name', async t => {
  const same = {
    method: 'itaclip',
    dataset: 'voc21',
    mode: 'csa',
    denseMode: 'csa',
    shortSide: 336,
    longSide: 1000,
    window: 224,
    stride: 28,
    padTo: 16,
    augment: false,
    augmentWeight: 0.5,
    closing: false,
    definitions: 'd.txt',
    definitionWeight: 0.1,
    classWords: 'first',
    probThreshold: 0.2,
    areaThreshold: 0,
    wordThreshold: 0.5,
    aggregate: true,
    logitScale: 40,
    templates: 'subset',
  } as const
  t.strictSame(await options(same), same)
  t.strictSame(await options({ synonyms: 's.txt' }), { synonyms: 's.txt' })
  t.strictSame(await options({ shortSide: 0 }), { shortSide: null })
  t.strictSame(await options({ aggregateGain: 5 }), { aggregate: { gain: 5 } })
  t.strictSame(await options({ pamr: 0 }), { pamr: false })
  t.strictSame(await options({ pamr: 3 }), { pamr: { iterations: 3, dilations: [8, 16] } })
  t.strictSame(await options({ method: 'proxyclip', proxyModel: 'dino.pth' }), {
    method: 'proxyclip',
    proxy: { model: 'dino.pth' },
  })
  await t.rejects(options({ method: 'naclip', proxyModel: 'dino.pth' }), {
    code: 'ERR_DECLIP_INVALID_ARG',
    message: /--proxy-model needs --method proxyclip or corrclip/,
  })
  await t.rejects(options({ synonyms: 's', definitions: 'd' }), {
    code: 'ERR_DECLIP_INVALID_ARG',
    message: /--definitions and --synonyms exclude each other/,
  })
})

t.test('members of options that are objects', async t => {
  const flags = {
    catSegSliding: false,
    catSegCut: 320,
    catSegBlocks: [2, 5],
    catSegMode: 'qq',
    catSegPooling: 2,
  } as MethodFlags
  t.strictSame(await options(flags), {
    catSeg: { sliding: false, cut: 320, blocks: [2, 5], mode: 'qq', pooling: 2 },
  })
})

t.test('--background', async t => {
  const background = async (text: string) => (await options({ background: text }))['background']
  t.equal(await background('none'), false)
  t.equal(await background('2'), 2)
  t.equal(await background('sofa'), 2)
  t.equal(await background('cat'), 1)
  t.strictSame(await background('sky, wall'), ['sky', 'wall'])
  t.strictSame(await background('floor'), ['floor'])
  for (const text of ['3', '', 'sky,,wall']) {
    await t.rejects(background(text), { code: 'ERR_DECLIP_INVALID_ARG', message: /--background/ })
  }
})

t.test('regions', async t => {
  t.strictSame(await maskOptions({}), {})
  t.strictSame(await maskOptions({ masks: 'models/scenes', refine: 'vote' }), {
    masks: 'models/scenes',
    refine: 'vote',
  })
  t.strictSame(await maskOptions({ refine: 'none' }), { refine: false })
  t.match(await maskOptions({ maskModel: 'sam.pth' }), { masks: { kind: 'sam' } })
  await t.rejects(maskOptions({ masks: 'models/scenes', maskModel: 'sam.pth' }), {
    code: 'ERR_DECLIP_INVALID_ARG',
    message: /--masks and --mask-model both give regions/,
  })
  await t.rejects(maskOptions({ masks: 'no such folder' }), { code: 'ERR_DECLIP_IO' })
})
