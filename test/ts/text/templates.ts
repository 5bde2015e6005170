import fc from 'fast-check'
import t from 'tap'
import { expandTemplates, TEMPLATES } from '../../../ts/text/templates.js'

t.test('the sizes that the papers state, and no prompt twice', async t => {
  for (const [name, count] of Object.entries({ imagenet: 80, vild: 63, subset: 7, none: 1 })) {
    const prompts = TEMPLATES[name as keyof typeof TEMPLATES]
    t.equal(prompts.length, count, name)
    t.equal(new Set(prompts).size, count, `${name}: all different`)
  }
})

t.test('order of the ImageNet prompts at places spread over the list', async t => {
  const prompts = expandTemplates('imagenet', 'cat')
  t.equal(prompts[0], 'a bad photo of a cat.')
  t.equal(prompts[4], 'a low resolution photo of the cat.')
  t.equal(prompts[10], 'the embroidered cat.')
  t.equal(prompts[35], 'a cat in a video game.')
  t.equal(prompts[39], 'a photo of a cat.')
  t.equal(prompts[54], 'a cartoon cat.')
  t.equal(prompts[57], 'a embroidered cat.')
  t.equal(prompts[79], 'a tattoo of the cat.')
  t.strictSame(expandTemplates(undefined, 'cat'), prompts, 'the default')
})

t.test('the subset is seven of the eighty, the bare word is itself', async t => {
  for (const prompt of TEMPLATES.subset) t.ok(TEMPLATES.imagenet.includes(prompt), prompt)
  t.strictSame(expandTemplates('none', 'a hot dog'), ['a hot dog'])
})

t.test('article, cleaning and prefix of the 63 prompts', async t => {
  const apple = expandTemplates('vild', 'apple')
  t.equal(apple[0], 'There is an apple in the scene.')
  t.equal(apple[2], 'This is a photo of an apple in the scene.')
  t.equal(apple[5], 'itap of an apple.')
  t.ok(apple.includes('This is the plastic apple.'))
  t.ok(apple.includes('This is an embroidered apple.'))
  t.equal(apple.at(-1), 'This is a painting of a apple.')
  t.equal(apple.filter(prompt => prompt.startsWith('This is ')).length, 63 - 5)

  // The article looks at the name as it was given: an upper-case vowel gets 'a'.
  t.equal(expandTemplates('vild', 'Apple')[0], 'There is a apple in the scene.')
  t.equal(
    expandTemplates('vild', 'bow_(decorative/ribbons)..')[1],
    'There is the bow_(decorative or ribbons) in the scene.'.replace('_', ' '),
  )
})

t.test('own prompts', async t => {
  t.strictSame(expandTemplates(['{} and {}', 'my {}'], 'cat'), ['cat and cat', 'my cat'])
  t.strictSame(expandTemplates(['{article} {}'], 'cat'), ['{article} cat'])
})

t.test('any word appears as it is in every ImageNet prompt', async t => {
  fc.assert(
    fc.property(fc.string(), word => {
      const prompts = expandTemplates('imagenet', word)
      return prompts.every((prompt, i) => {
        const [before = '', after = ''] = (TEMPLATES.imagenet[i] as string).split('{}')
        return prompt === before + word + after
      })
    }),
  )
  t.equal(expandTemplates(['x {} y'], '$&$1')[0], 'x $&$1 y', 'replacement patterns are text')
})

t.test('what is refused', async t => {
  const code = 'ERR_DECLIP_INVALID_ARG'
  const expand = (templates: unknown) => () => expandTemplates(templates as 'none', 'cat')
  t.throws(expand('toString'), { code, message: /'imagenet', 'vild', 'subset', 'tcl', 'none'/ })
  t.throws(expand([]), { code })
  t.throws(expand(7), { code })
  t.throws(expand(['a {}', 'a photo']), { code, message: /templates\[1\].*'a photo'/ })
  t.throws(expand([null]), { code, message: /templates\[0\]/ })
})
