/** The calls of the load test without a server: a line `COUNT CALLERS` in, milliseconds out. */
import { createInterface } from 'node:readline'
import { loadModel, segment } from 'declip-native'
import { time } from './time.mjs'

const { PICTURE, WORDS } = process.env
const model = await loadModel('words-tiny')
const call = async () => {
  const seg = await segment(PICTURE, WORDS.split(';'), { model })
  await seg.toRLE({ compressed: true })
  seg.dispose()
}
await call()
console.log('ready')
for await (const line of createInterface({ input: process.stdin })) {
  const [count, callers] = line.split(' ').map(Number)
  console.log(await time(count, callers, call))
}
model.dispose()
