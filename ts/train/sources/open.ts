import { DeclipError } from '../../errors.js'
import type { ResolvedConfig } from '../config-fields.js'
import { openShards } from './shards.js'
import type { Source } from './source.js'

/** Opens what `data` of a configuration names. */
export async function openSource(data: ResolvedConfig['data']): Promise<Source> {
  switch (data.kind) {
    case 'shards':
      return openShards(data.path)
    default:
      throw new DeclipError('ERR_DECLIP_INTERNAL', 'not yet')
  }
}
