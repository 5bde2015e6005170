/** A fresh process' default call on a picture, and what it took: declip.mjs <picture> [mask | overlay] */
import { segment } from '../../dist/index.mjs'
import { report } from '../cold-start/report.mjs'

process.env.DECLIP_MODEL = 'words-tiny' // the default, without its warning
const [path, out] = process.argv.slice(2)
const seg = await segment(path, ['background', 'tree', 'house', 'person', 'dog', 'car'])
if (out) await seg.toPNG({ overlay: out === 'overlay' })
report(Math.abs(seg.areas.reduce((a, b) => a + b, 0) - 1) < 1e-6)
