/** SAM's fixture with its mask decoder. */
import { readFileSync } from 'node:fs'
import { fixture } from './calls.js'

const manifest = JSON.parse(readFileSync(fixture('sam-decoder', 'manifest.json'), 'utf8')) as {
  cases: { config?: { decoder_heads: number; grid: number } }[]
}
const told = manifest.cases.find(({ config }) => config !== undefined)?.config

/** Its path, what its weights cannot tell, and the side of its masks before they are enlarged. */
export const samModel = {
  path: fixture('sam-decoder', 'sam.safetensors'),
  config: { decoderHeads: told?.decoder_heads as number },
  side: 4 * (told?.grid as number),
}
