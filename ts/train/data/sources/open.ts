import type { ResolvedConfig } from '../../config-fields.js'
import { detectorNeeds } from '../../detector-classes.js'
import { openCaptions } from './captions.js'
import { openCoco } from './coco.js'
import { openCocoStuff } from './coco-stuff.js'
import { openFolder } from './folder.js'
import { openLabels } from './labels.js'
import { openShards } from './shards.js'
import type { Needs, Source } from './source.js'

/** Opens what `data` of a configuration names. */
export async function openSource(config: ResolvedConfig): Promise<Source> {
  const { data } = config
  const needs = {
    ...needsOf(config),
    detector: config.objective === 'fvit' ? await detectorNeeds(config) : undefined,
  }
  switch (data.kind) {
    case 'folder':
      return openFolder(data.path)
    case 'coco':
      return openCoco(data.path, data.images, needs)
    case 'captions':
      return openCaptions(
        data.path,
        { image: data.imageColumn, caption: data.captionColumn },
        data.images,
      )
    case 'shards':
      return openShards(data.path, needs)
    case 'labels':
      return openLabels(data, config.classes)
    case 'coco-stuff':
      return openCocoStuff(data)
  }
}

function needsOf({ objective, regions, regionWeight }: ResolvedConfig): Needs {
  switch (objective) {
    case 'contrastive':
      return { caption: true, boxes: regionWeight > 0 ? 'labels' : 'none' }
    case 'region-text':
    case 'fvit':
      return { caption: false, boxes: 'labelled' }
    default:
      return { caption: false, boxes: regions.source === 'proposals' ? 'proposals' : 'none' }
  }
}
