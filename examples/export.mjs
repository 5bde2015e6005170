/**
 * From pictures and words to an annotated data set, which goes on where it was stopped.
 *
 *   node examples/export.mjs [folder]
 */
import { readdir } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { exportDataset } from 'declip-native'

const out = process.argv[2] ?? 'found'
const folder = new URL('../models/scenes/', import.meta.url)
const names = (await readdir(folder)).filter(name => /^[a-z]+\.png$/.test(name))
const images = names.map(name => ({ image: fileURLToPath(new URL(name, folder)), name }))

const { pictures, skipped, files } = await exportDataset(
  images,
  ['dog', 'tree', 'pizza', 'banana', 'car'],
  {
    to: 'coco',
    out,
    skipExisting: true,
    onPicture: ({ name, annotations }) => console.log(name, annotations),
    onError: (error, name) => console.error(name, error.message),
  },
)
console.log(`${pictures} pictures, ${skipped} of them from before`)
for (const file of files) console.log(file)
