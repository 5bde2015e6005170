/**
 * Class-token embeddings of a batch of normalised pictures.
 *
 * { model, batch, repeat }
 */
import { Tensor } from '../../dist/index.mjs'
import { encodeFlops } from '../inputs.mjs'
import { check, statistics, time } from '../measure.mjs'

export async function run({ model: name, batch, repeat }, { load }) {
  const model = await load()
  const side = model.info.imageSize
  const pixels = 3 * side ** 2
  const values = Float32Array.from({ length: batch * pixels }, (_, i) => 2 * Math.sin(i * i))
  const images = Tensor.from(values, [batch, 3, side, side])

  const rows = await (await model.encodeImage(images)).data()
  const width = rows.length / batch
  for (let b = 0; b < batch; b++) {
    const one = Tensor.from(values.subarray(b * pixels, (b + 1) * pixels), [1, 3, side, side])
    const alone = await (await model.encodeImage(one)).data()
    one.dispose()
    // Both are of length 1, so their product is 1 where they agree.
    const cosine = alone.reduce((sum, v, i) => sum + v * rows[b * width + i], 0)
    check(Math.abs(cosine - 1) < 1e-4, `row ${b} against the picture alone: cosine ${cosine}`)
  }

  const samples = await time(async () => (await model.encodeImage(images)).dispose(), { repeat })
  const { median } = statistics(samples)
  return {
    rows: [{ what: 'encodeImage', samples }],
    notes: {
      'GFLOP/s': (batch * encodeFlops(name)) / median / 1e6,
      'pictures/s': (1000 * batch) / median,
    },
  }
}
