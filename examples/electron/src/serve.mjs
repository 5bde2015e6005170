/** The side of the protocol that computes; it knows nothing of Electron. */
import { DeclipError, loadModel, segment, setup } from 'declip-native'
import { problemOf } from './window/protocol.mjs'

const PROGRESS_MS = 50

/**
 * Answers the messages of one window.
 *
 * @param post - sends a message to the window
 * @returns `receive`, to be given every message, and `close`, for when the window is gone
 */
export function serve(post) {
  const running = new Map()
  let model

  const work = {
    async init({ model: source }, options) {
      const loaded = await loadModel(source, options)
      model?.dispose()
      model = loaded
      const { family, device } = model.info
      return { family, device }
    },

    async segment({ image, classes, options: { method, shortSide } = {} }, options) {
      if (!model) throw new DeclipError('ERR_DECLIP_INVALID_ARG', 'Send init first.')
      const chosen = { ...(method && { method }), ...(shortSide && { shortSide }) }
      const seg = await segment(image, classes, { ...options, ...chosen, model })
      try {
        // Electron's ports copy arrays from process to process; the list to move is for workers.
        return (await seg.toTransferable()).message
      } finally {
        seg.dispose()
      }
    },

    async setup(_, options) {
      const { dir } = await setup(options)
      return { dir }
    },
  }

  async function receive(message) {
    const problem = problemOf(message)
    const id = message?.id
    if (problem) {
      const error = new DeclipError('ERR_DECLIP_INVALID_ARG', `Not a request: ${problem}.`)
      return post({ type: 'error', id, error: error.toJSON() })
    }
    if (message.type === 'abort') return running.get(id)?.abort()
    const controller = new AbortController()
    running.set(id, controller)
    try {
      const onProgress = atMostEvery(PROGRESS_MS, ({ step, done, total }) =>
        post({ type: 'progress', id, step, done, total }),
      )
      const result = await work[message.type](message, { signal: controller.signal, onProgress })
      post({ type: 'result', id, result })
    } catch (error) {
      post({ type: 'error', id, error: plainError(error) })
    } finally {
      running.delete(id)
    }
  }

  return {
    receive,
    close() {
      for (const controller of running.values()) controller.abort()
      model?.dispose()
    },
  }
}

function plainError(error) {
  return error instanceof DeclipError ? error.toJSON() : { name: 'Error', message: String(error) }
}

/** Drops reports that follow too soon; a new step is always reported. */
function atMostEvery(milliseconds, report) {
  let last = 0
  let step
  return progress => {
    if (progress.step === step && performance.now() - last < milliseconds) return
    step = progress.step
    last = performance.now()
    report(progress)
  }
}
