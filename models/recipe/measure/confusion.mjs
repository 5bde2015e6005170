/** Pixels by true and predicted class, and what follows from them. */

export class Confusion {
  /** @param {number} classes class 0 is the background */
  constructor(classes) {
    this.classes = classes
    /** Row: true class; column: predicted. */
    this.counts = new Float64Array(classes * classes)
  }

  /**
   * @param {ArrayLike<number>} truth label of every pixel
   * @param {ArrayLike<number>} got
   * @param {readonly number[]} truthClass class of every true label
   * @param {readonly number[]} gotClass class of every predicted label
   */
  add(truth, got, truthClass, gotClass) {
    if (truth.length !== got.length)
      throw new RangeError(`${truth.length} true labels and ${got.length} predicted ones`)
    for (let i = 0; i < truth.length; i++)
      this.counts[truthClass[truth[i]] * this.classes + gotClass[got[i]]]++
  }

  /**
   * Intersections and unions are of all pictures together. Means are over the classes that are true
   * somewhere; `objectPixels` is the share of the objects' pixels that are right.
   */
  figures() {
    const { classes, counts } = this
    const [rows, columns] = [new Float64Array(classes), new Float64Array(classes)]
    for (let t = 0; t < classes; t++)
      for (let p = 0; p < classes; p++) {
        rows[t] += counts[t * classes + p]
        columns[p] += counts[t * classes + p]
      }
    const diagonal = Float64Array.from(rows, (_, k) => counts[k * classes + k])
    const iou = Array.from(rows, (row, k) =>
      row === 0 ? null : diagonal[k] / (row + columns[k] - diagonal[k]),
    )
    const sum = (/** @type {ArrayLike<number>} */ list) =>
      Array.from(list).reduce((a, b) => a + b, 0)
    const mean = (/** @type {(number | null)[]} */ list) => {
      const known = list.filter(value => value !== null)
      return known.length ? sum(known) / known.length : null
    }
    const objectPixels = sum(rows) - rows[0]
    return {
      iou,
      mIoU: mean(iou),
      objectIoU: mean(iou.slice(1)),
      backgroundIoU: iou[0],
      pixels: sum(diagonal) / sum(rows),
      objectPixels: objectPixels ? (sum(diagonal) - diagonal[0]) / objectPixels : null,
    }
  }
}
