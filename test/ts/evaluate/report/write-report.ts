import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import t, { type Test } from 'tap'
import type { ReportInput } from '../../../../ts/evaluate/report/parts.js'
import { writeReport } from '../../../../ts/evaluate/report/write-report.js'

const folder = () => mkdtempSync(join(tmpdir(), 'declip-report-'))

/** A name that anybody may put into a data set. */
const HOSTILE = `</script><script>alert("x")</script><img src=http://evil.example/ onerror='1'>&amp;`

function semantic(out: string, name = 'boat'): ReportInput {
  const classes = [
    { name: 'background', iou: 0.9, acc: 0.95, pixels: 90 },
    { name, iou: 0.25, acc: 0.5, pixels: 10 },
    { name: 'sky', iou: null, acc: null, pixels: 0 },
  ]
  return {
    result: {
      task: 'semantic',
      dataset: `data ${name}`,
      pictures: 2,
      miou: 0.575,
      macc: 0.725,
      aacc: 0.905,
      classes,
      settings: { model: name, method: 'itaclip', pamr: { iterations: 10 }, words: [name] },
      versions: { declip: '0.1.0' },
      failed: [{ id: name, error: { code: 'ERR_DECLIP_IMAGE', message: `broken ${name}` } }],
      published: [
        { figure: 'miou', value: 0.679, backbone: name, mark: 'R', source: name },
        { figure: 'unheard', value: 0.1, mark: '?' },
      ],
    },
    classes,
    background: 0,
    confusion: Float64Array.from([85, 5, 0, 0, 5, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    pictures: [
      { id: `a ${name}`, score: 0.5 },
      { id: 'b', score: 0.1 },
      { id: 'c', score: null },
    ],
    out,
  }
}

const read = (out: string) => readFileSync(join(out, 'report.html'), 'utf8')

/** Elements whose names and attributes are all that a browser would act on. */
function checkMarkup(t: Test, text: string) {
  const policy = /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(text)?.[1] ?? ''
  const rules = policy.replace(/&#39;/g, "'")
  t.match(rules, "default-src 'none'")
  t.match(rules, 'img-src data:')
  for (const element of ['style', 'script'] as const) {
    const all = [...text.matchAll(new RegExp(`<${element}>([\\s\\S]*?)</${element}>`, 'g'))]
    t.equal(all.length, 1, `one ${element}`)
    const hash = createHash('sha256')
      .update(all[0]?.[1] ?? '')
      .digest('base64')
    t.match(rules, `${element}-src 'sha256-${hash}'`, `the policy lets this ${element} alone act`)
  }
  const bare = text.replace(/="[^"]*"/g, '=""')
  t.notMatch(bare, / style=/, 'the policy would stop styles of elements')
  t.notMatch(bare, /<[a-z]+[^>]* on[a-z]+=/i, 'no handlers in attributes')
  for (const [, , url] of text.matchAll(/<[a-z]+[^>]* (src|href|action)="([^"]*)"/g))
    t.match(url, /^data:image\/(png|jpeg);base64,/, 'nothing is asked for')
  t.notMatch(text, /url\(|@import|<link|<iframe|<object|<base/)
}

t.test('a page with everything in it', async t => {
  const out = folder()
  await writeReport(semantic(out))
  t.same(readdirSync(out).sort(), ['confusion.png', 'report.html'])
  t.match(await sharp(join(out, 'confusion.png')).metadata(), { format: 'png' })
  const text = read(out)
  checkMarkup(t, text)
  for (const part of ['57.50', '72.50', '90.50', '67.90', '−10.40', 'authors&#39; repository'])
    t.match(text, part)
  t.match(text, /<th scope="row" data-v="sky">sky<\/th><td class="n" data-v="">/, 'no class, no 0')
  t.match(text, /pamr\.iterations<\/code><\/th><td><code>10</)
  t.match(text, /Not all pictures of the data set count: 1 failed/)
  t.ok(text.indexOf('own mIoU 10.00%') < text.indexOf('own mIoU 50.00%'), 'the worst comes first')
  for (const table of text.matchAll(/<table[^>]*>([\s\S]*?)<\/table>/g)) {
    t.match(table[1], /^\s*<caption>/, 'a table says what it is')
    t.match(table[1], '<th scope="col"')
    t.match(table[1], '<th scope="row"')
  }
  for (const [image] of text.matchAll(/<img [^>]*>/g)) t.match(image, / alt="[^"]{8,}"/)
  await writeReport(semantic(out))
  t.equal(read(out), text, 'the same result gives the same page')
})

t.test('names of a data set are text, whatever they hold', async t => {
  const out = folder()
  await writeReport({
    ...semantic(out, HOSTILE),
    overlays: async () => {
      throw new Error(`cannot read ${HOSTILE}`)
    },
  })
  const text = read(out)
  checkMarkup(t, text)
  t.notMatch(text, '<img src=http')
  t.ok(text.split('&lt;/script&gt;&lt;script&gt;alert(&quot;x&quot;)').length > 8)
  t.match(text, /could not be drawn: cannot read &lt;\/script/)
})

t.test('regions and detections have their own figures', async t => {
  const out = folder()
  const of = (macc1: number | null) => ({ macc1, macc5: 0.9, regions: macc1 === null ? 0 : 4 })
  const common = { dataset: 'coco', pictures: 1, settings: {}, versions: {} }
  const ofClass = { acc1: 0.5, acc5: 1, regions: 4 }
  const classes = [
    { name: 'cat', thing: true, split: 'novel' as const },
    { name: 'sky', thing: false, split: 'base' as const },
  ]
  await writeReport({
    result: {
      ...common,
      task: 'regions',
      boxes: { thing: of(0.721), stuff: of(null) },
      masks: { thing: of(0.74), stuff: of(0.468) },
      crops: { thing: of(null), stuff: of(null) },
      classes: classes.map(({ name }) => ({ name, boxes: ofClass, masks: ofClass })),
    },
    classes,
    confusion: Float64Array.from([3, 1, 0, 4]),
    pictures: [],
    out,
  })
  const regions = read(out)
  checkMarkup(t, regions)
  for (const part of ['Thing boxes', '72.10', '46.80', 'Stuff masks']) t.match(regions, part)
  t.match(regions, /<th scope="row" data-v="cat">cat<\/th><td data-v="thing">thing<\/td>/)

  await writeReport({
    result: {
      ...common,
      task: 'detection',
      ap: 0.2,
      ap50: { novel: 0.376, base: 0.549, all: 0.504 },
      classes: classes.map(({ name }) => ({ name, ap: 0.3, ap50: 0.4, objects: 12 })),
    },
    classes,
    curves: [{ name: HOSTILE, recall: [0, 0.5, 1], precision: [1, 0.5, Number.NaN] }],
    pictures: [],
    out,
  })
  const detection = read(out)
  checkMarkup(t, detection)
  for (const part of ['37.60', '54.90', '50.40', 'AP50 novel']) t.match(detection, part)
  t.match(detection, /<polyline class="line l0" points="44.0,10.0 204.0,170.0"/)
})

t.test('stops when it is told to, and says where it cannot write', async t => {
  const out = folder()
  await t.rejects(
    writeReport({ ...semantic(out), signal: AbortSignal.abort(), overlays: async () => undefined }),
    { code: 'ERR_DECLIP_ABORTED' },
  )
  t.same(readdirSync(out), [])
  await t.rejects(writeReport(semantic(join(out, 'absent'))), { code: 'ERR_DECLIP_IO' })
})
