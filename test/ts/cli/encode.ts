import t from 'tap'
import { checkEncodeFlags, type EncodeFlags } from '../../../ts/cli/encode.js'

const check = (image: string | undefined, flags: Partial<EncodeFlags>) => () =>
  checkEncodeFlags(image === undefined ? [] : [image], {
    model: 'words-tiny',
    normalize: true,
    ...flags,
  })

t.test('options that go together', t => {
  t.doesNotThrow(check('a.png', { json: true }))
  t.doesNotThrow(check(undefined, { from: 'list', json: true }))
  t.doesNotThrow(check('a.png', { dense: true, mode: 'csa', out: 'f.safetensors' }))
  t.doesNotThrow(check(undefined, { text: ['a cat'], json: true, out: 'f.safetensors' }))
  const wrong: [message: RegExp, call: () => void][] = [
    [/one of the two/, check(undefined, { json: true })],
    [/one of the two/, check('a.png', { text: ['a cat'], json: true })],
    [/--dense needs a picture/, check(undefined, { text: ['a'], dense: true, json: true })],
    [/--mode needs --dense/, check('a.png', { mode: 'csa', json: true })],
    [/--proxy-model needs/, check('a.png', { dense: true, proxyModel: 'dino.pth', json: true })],
    [/Give --out <file>, --json or both/, check('a.png', {})],
    [/--out writes \.safetensors files/, check(undefined, { text: ['a'], out: 'f.npy' })],
  ]
  for (const [message, call] of wrong) t.throws(call, { code: 'ERR_DECLIP_INVALID_ARG', message })
  t.end()
})
