/** The calls of the load test without a server: a line `COUNT CALLERS` in, milliseconds out. */
import { createInterface } from 'node:readline'
import { loadModel, segment } from 'declip-native'

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
  const begun = performance.now()
  let left = count
  await Promise.all(
    Array.from({ length: callers }, async () => {
      while (left-- > 0) await call()
    }),
  )
  console.log(performance.now() - begun)
}
model.dispose()
