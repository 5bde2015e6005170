import { COMPARED, COMPARED_SETS, COMPARED_WORDS } from './compared.js'
import { TIPS_WINDOWS } from './families.js'
import { EVA_B, type Method, variants } from './method.js'

/** CLIPSelf (ICLR 2024). @internal */
export const clipself: Method = {
  source: 'arXiv 2310.01403; figures from arXiv 2505.04410, Table 1',
  preset: { ...COMPARED, mode: 'maskclip' },
  families: { tips: TIPS_WINDOWS },
  datasets: variants(COMPARED_SETS, [EVA_B, 'P', { context59: 29.4, cityscapes: 25.6 }]),
  words: COMPARED_WORDS,
}
