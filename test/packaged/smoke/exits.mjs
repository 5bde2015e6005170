/** Ends in the way that the first argument names, in the middle of a call where it can. */
import process from 'node:process'
import { loadModel, segment } from 'declip-native'

const park = new URL('models/scenes/park.png', import.meta.resolve('declip-native/package.json'))
const model = await loadModel('words-tiny')
const call = onProgress =>
  segment(park, ['background', 'tree'], {
    model,
    ...(onProgress ? { stride: 20, onProgress } : { shortSide: 96 }),
  })

/** Resolves in the middle of a call that goes on. */
const busy = () =>
  new Promise(resolve => {
    call(({ done, total }) => done > 0 && done < total && resolve()).catch(() => {})
  })

const ways = {
  async 'process.exitCode = 7'() {
    await call()
    process.exitCode = 7
  },
  async 'process.exit(5) in a call'() {
    await busy()
    process.exit(5)
  },
  async 'uncaught error in a call'() {
    await busy()
    throw new Error('on purpose')
  },
}
console.log('ready')
await ways[process.argv[2]]()
