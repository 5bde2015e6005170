import { DeclipError, describe, invalid } from '../errors.js'

/** Names of the built-in prompt lists. */
export type TemplateSetName = 'imagenet' | 'vild' | 'subset' | 'tcl' | 'none'

/**
 * The 80 ImageNet prompts of CLIP in the order in which ITACLIP, SCLIP, NACLIP, ProxyCLIP and
 * ClearCLIP average them. The order decides only the last rounding of the mean.
 */
const IMAGENET = `a bad photo of a {}.|a photo of many {}.|a sculpture of a {}.
a photo of the hard to see {}.|a low resolution photo of the {}.|a rendering of a {}.
graffiti of a {}.|a bad photo of the {}.|a cropped photo of the {}.|a tattoo of a {}.
the embroidered {}.|a photo of a hard to see {}.|a bright photo of a {}.|a photo of a clean {}.
a photo of a dirty {}.|a dark photo of the {}.|a drawing of a {}.|a photo of my {}.
the plastic {}.|a photo of the cool {}.|a close-up photo of a {}.|a black and white photo of the {}.
a painting of the {}.|a painting of a {}.|a pixelated photo of the {}.|a sculpture of the {}.
a bright photo of the {}.|a cropped photo of a {}.|a plastic {}.|a photo of the dirty {}.
a jpeg corrupted photo of a {}.|a blurry photo of the {}.|a photo of the {}.|a good photo of the {}.
a rendering of the {}.|a {} in a video game.|a photo of one {}.|a doodle of a {}.
a close-up photo of the {}.|a photo of a {}.|the origami {}.|the {} in a video game.
a sketch of a {}.|a doodle of the {}.|a origami {}.|a low resolution photo of a {}.
the toy {}.|a rendition of the {}.|a photo of the clean {}.|a photo of a large {}.
a rendition of a {}.|a photo of a nice {}.|a photo of a weird {}.|a blurry photo of a {}.
a cartoon {}.|art of a {}.|a sketch of the {}.|a embroidered {}.
a pixelated photo of a {}.|itap of the {}.|a jpeg corrupted photo of the {}.|a good photo of a {}.
a plushie {}.|a photo of the nice {}.|a photo of the small {}.|a photo of the weird {}.
the cartoon {}.|art of the {}.|a drawing of the {}.|a photo of the large {}.
a black and white photo of a {}.|the plushie {}.|a dark photo of a {}.|itap of a {}.
graffiti of the {}.|a toy {}.|itap of my {}.|a photo of a cool {}.
a photo of a small {}.|a tattoo of the {}.`

/** The 63 prompts of ViLD, which CLIPSelf and DeCLIP use to recognise regions. */
const VILD = `There is {article} {} in the scene.|There is the {} in the scene.
a photo of {article} {} in the scene.|a photo of the {} in the scene.|a photo of one {} in the scene.
itap of {article} {}.|itap of my {}.|itap of the {}.|a photo of {article} {}.|a photo of my {}.
a photo of the {}.|a photo of one {}.|a photo of many {}.|a good photo of {article} {}.
a good photo of the {}.|a bad photo of {article} {}.|a bad photo of the {}.|a photo of a nice {}.
a photo of the nice {}.|a photo of a cool {}.|a photo of the cool {}.|a photo of a weird {}.
a photo of the weird {}.|a photo of a small {}.|a photo of the small {}.|a photo of a large {}.
a photo of the large {}.|a photo of a clean {}.|a photo of the clean {}.|a photo of a dirty {}.
a photo of the dirty {}.|a bright photo of {article} {}.|a bright photo of the {}.
a dark photo of {article} {}.|a dark photo of the {}.|a photo of a hard to see {}.
a photo of the hard to see {}.|a low resolution photo of {article} {}.
a low resolution photo of the {}.|a cropped photo of {article} {}.|a cropped photo of the {}.
a close-up photo of {article} {}.|a close-up photo of the {}.
a jpeg corrupted photo of {article} {}.|a jpeg corrupted photo of the {}.
a blurry photo of {article} {}.|a blurry photo of the {}.|a pixelated photo of {article} {}.
a pixelated photo of the {}.|a black and white photo of the {}.
a black and white photo of {article} {}.|a plastic {}.|the plastic {}.|a toy {}.|the toy {}.
a plushie {}.|the plushie {}.|a cartoon {}.|the cartoon {}.|an embroidered {}.
the embroidered {}.|a painting of the {}.|a painting of a {}.`

/** CLIP's seven-prompt subset of the ImageNet prompts. */
const SUBSET = `itap of a {}.|a bad photo of the {}.|a origami {}.|a photo of the large {}.
a {} in a video game.|art of the {}.|a photo of the small {}.`

/** TCL's nine: the subset and two of many things. */
const TCL = `${SUBSET}|a photo of many {}.|a photo of {}s.`

const split = (list: string): readonly string[] => Object.freeze(list.split(/[|\n]/))

/** The built-in prompt lists; `{}` stands for the word, `{article}` for 'a' or 'an'. */
export const TEMPLATES: Readonly<Record<TemplateSetName, readonly string[]>> = Object.freeze({
  imagenet: split(IMAGENET),
  vild: split(VILD),
  subset: split(SUBSET),
  tcl: split(TCL),
  none: Object.freeze(['{}']),
})

/**
 * The prompts of one word.
 *
 * 'vild' follows CLIPSelf's script: underscores become spaces, '/' becomes ' or ', the name is
 * lower-cased and loses trailing dots; the article is 'an' when the name as given starts with a
 * lower-case vowel; a prompt that starts with 'a' or 'the' gets 'This is ' in front.
 *
 * @param templates - A built-in list, or own prompts that contain `{}`. Default 'imagenet'.
 * @param word - A class name, synonym or definition.
 * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG for an unknown list or a prompt without `{}`.
 *
 * @example
 * ```ts
 * expandTemplates(['a photo of a {}.'], 'cat') // ['a photo of a cat.']
 * ```
 */
export function expandTemplates(
  templates: TemplateSetName | readonly string[] | undefined,
  word: string,
): string[] {
  const prompts = templateList(templates)
  if (templates !== 'vild') return prompts.map(prompt => prompt.replaceAll('{}', () => word))
  const article = /^[aeiou]/.test(word) ? 'an' : 'a'
  const name = word.replaceAll('_', ' ').replaceAll('/', ' or ').toLowerCase().replace(/\.+$/, '')
  return prompts.map(prompt => {
    const text = prompt.replace('{article}', article).replace('{}', () => name)
    return /^(a|the)/.test(text) ? `This is ${text}` : text
  })
}

/** The prompts of a set or a checked list of own ones. @internal */
export function templateList(
  templates: TemplateSetName | readonly string[] = 'imagenet',
): readonly string[] {
  if (typeof templates === 'string' && Object.hasOwn(TEMPLATES, templates)) {
    return TEMPLATES[templates]
  }
  if (!Array.isArray(templates) || templates.length === 0) {
    const names = Object.keys(TEMPLATES).map(name => `'${name}'`)
    throw invalid('templates', `${names.join(', ')} or a list of prompts with {}`, templates)
  }
  templates.forEach((prompt: unknown, i) => {
    if (typeof prompt !== 'string' || !prompt.includes('{}')) {
      throw new DeclipError(
        'ERR_DECLIP_INVALID_ARG',
        `templates[${i}] must be a prompt with {} where the word goes, received ${describe(prompt)}.`,
      )
    }
  })
  return templates
}
