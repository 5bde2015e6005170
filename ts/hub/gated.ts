/** Repositories whose authors give access on request. */
import type { Hub } from './repository.js'

/** The same weights where nobody has to be asked for them, under the same licence. */
const OPEN_COPIES: Readonly<Record<string, string>> = {
  'facebook/dinov3-vits16-pretrain-lvd1689m': 'timm/vit_small_patch16_dinov3.lvd1689m',
  'facebook/dinov3-vits16plus-pretrain-lvd1689m': 'timm/vit_small_plus_patch16_dinov3.lvd1689m',
  'facebook/dinov3-vitb16-pretrain-lvd1689m': 'timm/vit_base_patch16_dinov3.lvd1689m',
  'facebook/dinov3-vitl16-pretrain-lvd1689m': 'timm/vit_large_patch16_dinov3.lvd1689m',
  'facebook/dinov3-vith16plus-pretrain-lvd1689m': 'timm/vit_huge_plus_patch16_dinov3.lvd1689m',
}

/** Whether a hub's refusal says that access has to be asked for. */
export function isGatedAnswer(reason: string): boolean {
  return /\bgated\b|GatedRepo|is restricted/i.test(reason)
}

/** What to do about a repository that a hub does not hand out. */
export function gatedMessage({ url, headers }: Hub, id: string, status: number): string {
  const page = `${url}/${id}`
  const todo = headers['authorization']
    ? `The account of the token that was sent (HF_TOKEN, or the stored login) has no access yet: ask for it on the model's page, ${page}, and try again once it is granted.`
    : `Ask for access on the model's page, ${page}, and set HF_TOKEN to a token of the account that has it.`
  const copy = Object.hasOwn(OPEN_COPIES, id) ? OPEN_COPIES[id] : undefined
  const instead = copy
    ? ` ${copy} holds the same weights without this, under the same licence.`
    : ''
  return `${id} is gated, so ${url} refused it (status ${status}). ${todo}${instead}`
}
