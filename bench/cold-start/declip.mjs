/** A fresh process that names the pixels of one small picture: what it took, as a line of JSON. */
import { report } from './report.mjs'

const [picture] = process.argv.slice(2)
const { segment } = await import('../../dist/index.mjs')
const seg = await segment(picture, ['background', 'tree', 'dog'], { model: 'words-tiny' })
report(seg.areas.length === 3)
