import t from 'tap'
import { DATASETS } from '../../../ts/methods/benchmarks.js'
import { METHOD_NAMES, METHODS } from '../../../ts/methods/list.js'

t.test('published figures are percentages with a mark, their means as printed', async t => {
  for (const method of METHOD_NAMES) {
    for (const [dataset, variant] of Object.entries(METHODS[method].datasets)) {
      t.ok(Object.hasOwn(DATASETS, dataset), `${method}: ${dataset}`)
      for (const { mIoU, mark } of variant.published) {
        t.ok(mIoU > 0 && mIoU < 100 && 'PRSM'.includes(mark))
      }
    }
  }
  const mean = (method: 'naclip' | 'declip' | 'maskclip' | 'vanilla', backbone: string) => {
    const values = Object.values(METHODS[method].datasets).flatMap(({ published }) =>
      published.filter(p => p.backbone === backbone).map(p => p.mIoU),
    )
    t.equal(values.length, 8, method)
    return values.reduce((a, b) => a + b) / 8
  }
  // The averages that are printed beside the rows.
  const near = (got: number, printed: number) => t.ok(Math.abs(got - printed) <= 0.06, `${got}`)
  near(mean('naclip', 'CLIP ViT-B/16'), 42.46)
  near(mean('declip', 'EVA-CLIP ViT-B/16'), 41.9)
  near(mean('maskclip', 'CLIP ViT-B/16'), 30.3)
  near(mean('vanilla', 'CLIP ViT-B/16'), 14.1)
  near(mean('vanilla', 'EVA-CLIP ViT-B/16'), 18.9)
})
