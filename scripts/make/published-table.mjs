/**
 * The table of docs/guides/evaluation.md: for every published figure of segmentation the options that measure it.
 *
 *   node scripts/make/published-table.mjs       writes it into the guide; needs a build
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { root } from '../build/common.mjs'

const GUIDE = join(root, 'docs/guides/evaluation.md')
const BEGIN = '<!-- published figures: made by scripts/make/published-table.mjs -->'
const END = '<!-- end of published figures -->'

/** What has the weights of a backbone; capitals stand for files of the reader's own. */
const MODELS = {
  'CLIP ViT-B/16': 'openai/clip-vit-base-patch16',
  'CLIP ViT-L/14': 'openai/clip-vit-large-patch14',
  'OpenCLIP ViT-B/16': 'laion/CLIP-ViT-B-16-laion2B-s34B-b88K',
  'MetaCLIP ViT-B/16': 'facebook/metaclip-b16-fullcc2.5b',
  'EVA-CLIP ViT-B/16': 'EVA02_CLIP_B_psz16_s8B.pt',
  'CLIP ViT-B/16 with DINO ViT-B/8':
    'openai/clip-vit-base-patch16 --proxy-model facebook/dino-vitb8',
  'DINOv2 ViT-B/14 with registers, words by CLIP ViT-B/16':
    'facebook/dinov2-with-registers-base --text-model openai/clip-vit-base-patch16 --text-projection vitb_mlp_infonce.pth',
  ...withMasks('B/16', 'facebook/metaclip-b16-fullcc2.5b'),
  ...withMasks('L/14', 'facebook/metaclip-l14-fullcc2.5b'),
}
/** Methods whose figures are of a checkpoint of their own. */
const TRAINED = { declip: 'evab_dinov2B_csa_560_0.25_seg.pt', clipself: 'CLIPSELF.pt' }

/** Heads of CAT-Seg, by the tower that they were trained with; only those of the authors can be downloaded. */
const CAT_SEG = {
  'CLIP ViT-B/16': 'model_base.pth',
  'CLIP ViT-L/14@336': 'model_large.pth',
  'EVA-CLIP ViT-B/16': 'CAT-SEG-EVA-B.pth',
  'EVA-CLIP ViT-L/14': 'CAT-SEG-EVA-L.pth',
  'DeCLIP ViT-B/16': 'CAT-SEG-DECLIP-B.pth',
  'DeCLIP ViT-B/16, the released file': 'xiaomoguhzz/CATSeg_DeCLIP_EVA-B_DINOv2-B_csa_0.05_2.0',
  'DeCLIP ViT-L/14': 'CAT-SEG-DECLIP-L.pth',
}
/** Figures of programs that are not this one stand in results alone. */
const OTHER = 'another program'

/** CorrCLIP's backbones: with DINO, and with masks that the reader has as files. */
function withMasks(size, model) {
  const folders = {
    'SAM2 (32)': 'SAM2-32',
    'SAM2 (8)': 'SAM2-8',
    Mask2Former: 'MASK2FORMER',
    EoMT: 'EOMT',
    EntitySeg: 'ENTITYSEG',
  }
  return Object.fromEntries(
    Object.entries(folders).map(([masks, folder]) => [
      `MetaCLIP ViT-${size} with DINO ViT-B/8 and masks of ${masks}`,
      `${model} --proxy-model facebook/dino-vitb8 --masks ${folder}`,
    ]),
  )
}

/** @param {typeof import('../../ts/methods/list.js').METHODS} methods */
export function publishedTable(methods) {
  const rows = Object.entries(methods).flatMap(([method, { datasets }]) =>
    Object.entries(datasets).flatMap(([dataset, { published }]) =>
      published.flatMap(({ mIoU, backbone, mark }) => {
        if (backbone.includes(OTHER)) return []
        const model = TRAINED[method] ?? (method === 'cat-seg' ? CAT_SEG : MODELS)[backbone]
        if (!model) throw new Error(`There is no model for '${backbone}' in published-table.mjs.`)
        const command = `--dataset ${dataset} --data DIR --method ${method} --model ${model}`
        return [
          `| \`${command}\` | ${mIoU.toFixed(mIoU % 1 && (mIoU * 10) % 1 ? 2 : 1)} | ${mark} |`,
        ]
      }),
    ),
  )
  return ['| `declip eval` with | mIoU | |', '| --- | --- | --- |', ...rows].join('\n')
}

/** The table as the guide has it. */
export function tableInGuide() {
  const guide = readFileSync(GUIDE, 'utf8')
  return guide.slice(guide.indexOf(BEGIN) + BEGIN.length, guide.indexOf(END)).trim()
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { METHODS } = await import('../../dist/index.mjs')
  const guide = readFileSync(GUIDE, 'utf8')
  const [before, rest] = guide.split(BEGIN)
  const [, after] = rest.split(END)
  writeFileSync(GUIDE, `${before}${BEGIN}\n${publishedTable(METHODS)}\n${END}${after}`)
}
