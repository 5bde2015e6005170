import type { ResolvedConfig } from '../../config-fields.js'
import { openCaptions } from './captions.js'
import { openCoco } from './coco.js'
import { openFolder } from './folder.js'
import { openShards } from './shards.js'
import type { Source } from './source.js'

/** Opens what `data` of a configuration names. */
export async function openSource({ data, objective }: ResolvedConfig): Promise<Source> {
  switch (data.kind) {
    case 'folder':
      return openFolder(data.path)
    case 'coco':
      return openCoco(data.path, data.images, objective === 'region-text')
    case 'captions':
      return openCaptions(
        data.path,
        { image: data.imageColumn, caption: data.captionColumn },
        data.images,
      )
    case 'shards':
      return openShards(data.path)
  }
}
