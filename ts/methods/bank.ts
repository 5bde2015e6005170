import type { NativePipeline } from '../engine/addon-types.js'
import { DeclipError, invalid } from '../errors.js'
import type { BankOptions } from './options.js'

/**
 * What the addon is told of a bank.
 *
 * @throws DeclipError ERR_DECLIP_INVALID_ARG
 * @internal
 */
export function resolveBank(
  options: BankOptions & { readonly masks?: unknown },
): Pick<NativePipeline, 'bank' | 'bankNeighbours' | 'bankShare'> {
  const { bank, bankNeighbours, bankShare, masks } = options
  if (bank === undefined) {
    const name = (['bankNeighbours', 'bankShare'] as const).find(
      option => options[option] !== undefined,
    )
    if (name === undefined) return {}
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `${name} says how a bank is used, and there is none; pass bank as well, or leave ${name} out.`,
    )
  }
  if (typeof bank !== 'object' || bank?.native === undefined) {
    throw invalid('bank', 'what Bank.open() or buildBank() gives', bank)
  }
  if (masks === undefined) {
    throw invalid('masks', 'given with bank, which is asked about the regions of a picture', masks)
  }
  return { bank: bank.native, bankNeighbours, bankShare }
}
