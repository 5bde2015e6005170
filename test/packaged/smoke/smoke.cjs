/** The same package by `require`; prints the labels' hash. */
const { createHash } = require('node:crypto')
const { dirname, join } = require('node:path')
const { segment } = require('declip-native')

async function main() {
  const park = join(
    dirname(require.resolve('declip-native/package.json')),
    'models/scenes/park.png',
  )
  const classes = ['background', 'tree', 'dog, puppy', 'butterfly']
  const seg = await segment(park, classes, { model: 'words-tiny', shortSide: 96 })
  const hash = createHash('sha256').update(await seg.labels.data())
  console.log(hash.digest('hex').slice(0, 16))
  seg.dispose()
}

void main()
