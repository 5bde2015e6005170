/** The evaluator's counting, against counting by hand. */
import t from 'tap'
import { Confusion } from '../../../models/recipe/measure/confusion.mjs'
import { random } from '../../../models/recipe/paint/random.mjs'

t.test('figures of a small picture', async t => {
  const confusion = new Confusion(4)
  confusion.add([0, 0, 1, 1, 1, 2], [0, 1, 1, 1, 0, 1], [0, 2, 1], [0, 2, 3])
  // True classes 0 0 2 2 2 1, predicted 0 2 2 2 0 2; class 3 is offered and never true.
  t.same(confusion.figures(), {
    iou: [1 / 3, 0, 2 / 5, null],
    mIoU: (1 / 3 + 0 + 2 / 5) / 3,
    objectIoU: (0 + 2 / 5) / 2,
    backgroundIoU: 1 / 3,
    pixels: 3 / 6,
    objectPixels: 2 / 4,
  })
  t.throws(() => confusion.add([0], [0, 0], [0], [0]), RangeError)
})

t.test('random maps against sets of pixels', async t => {
  for (let trial = 0; trial < 10; trial++) {
    const rng = random('confusion', trial)
    const confusion = new Confusion(6)
    const pixels = []
    for (let picture = 0; picture < 3; picture++) {
      const [truthClass, gotClass] = [rng.shuffled(6).slice(0, 3), rng.shuffled(6)]
      const truth = Array.from({ length: 200 }, () => rng.int(0, 2))
      const got = truth.map(() => rng.int(0, 5))
      confusion.add(truth, got, truthClass, gotClass)
      pixels.push(...truth.map((label, i) => [truthClass[label], gotClass[got[i]]]))
    }
    const iou = [0, 1, 2, 3, 4, 5].map(k => {
      if (!pixels.some(([want]) => want === k)) return null
      const both = pixels.filter(([want, got]) => want === k && got === k).length
      return both / pixels.filter(([want, got]) => want === k || got === k).length
    })
    const mean = list => list.reduce((a, b) => a + b, 0) / list.length
    const figures = confusion.figures()
    t.same(figures.iou, iou)
    t.ok(Math.abs(figures.mIoU - mean(iou.filter(v => v !== null))) < 1e-12)
    t.ok(Math.abs(figures.objectIoU - mean(iou.slice(1).filter(v => v !== null))) < 1e-12)
    t.equal(figures.pixels, mean(pixels.map(([want, got]) => (want === got ? 1 : 0))))
    const objects = pixels.filter(([want]) => want !== 0)
    t.equal(figures.objectPixels, mean(objects.map(([want, got]) => (want === got ? 1 : 0))))
  }
})
