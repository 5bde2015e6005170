/** What is taken for what, on the page. */
import { type ConfusedPair, type Confusion, confusedPairs } from './confusion.js'
import { MOST_NAMED, type Picture } from './confusion-picture.js'
import { html, type Markup } from './html.js'
import { count, percent } from './numbers.js'
import { sortable } from './tables.js'

/** Pairs that are named. */
const PAIRS = 30

/**
 * @param unit - what is counted: 'pixels'
 * @param picture - absent where there are too many classes to draw
 */
export function confusionSection(
  confusion: Confusion,
  unit: string,
  picture: Picture | undefined,
): Markup {
  const pairs = confusedPairs(confusion, PAIRS)
  const size = confusion.names.length
  const without = size > MOST_NAMED ? ' Of so many classes none is named in it.' : ''
  const image =
    picture &&
    html`<figure class="matrix"><img src="data:${picture.mime};base64,${Buffer.from(picture.bytes).toString('base64')}" width="${picture.width}" height="${picture.height}" alt="Confusion matrix of ${size} classes; the table of the most confused pairs has its largest mistakes in words"/><figcaption>A row has the ${unit} of one true class, in per cent, by what they were taken for.${without}</figcaption></figure>`
  const table =
    pairs.length === 0
      ? html`<p>Nothing was taken for anything else.</p>`
      : sortable<ConfusedPair>(
          `Most confused pairs, by the share of the true class's ${unit}`,
          [
            { name: 'truth', value: pair => pair.truth, text: pair => pair.truth },
            { name: 'taken for', value: pair => pair.predicted, text: pair => pair.predicted },
            {
              name: 'share',
              value: pair => pair.share,
              text: pair => percent(pair.share, 1),
              bar: true,
            },
            { name: unit, value: pair => pair.count, text: pair => count(pair.count) },
          ],
          pairs,
        )
  return html`<section aria-labelledby="confusion"><h2 id="confusion">What is taken for what</h2>${image}${table}</section>`
}
