/**
 * Segmentation over HTTP with Fastify. A picture is the body of a request, words are in its query:
 *
 *   POST   /segment?classes=background;tree;dog&format=json|png|overlay
 *   POST   /pictures                               encodes once: { id }
 *   POST   /pictures/ID/segment?classes=…          other words, no pass through the vision tower
 *   DELETE /pictures/ID
 *   GET    /health   /ready   /metrics
 *
 * With `Accept: application/x-ndjson` an answer is lines of JSON: progress, then the result. Whoever
 * disconnects stops the work.
 */
import { randomUUID } from 'node:crypto'
import { DeclipError, segment } from 'declip-native'
import Fastify from 'fastify'
import { makeMetrics } from './metrics.mjs'
import { acceptUploads } from './uploads.mjs'

/** HTTP's word for a code of ours; anything else is 500. */
const STATUS = {
  ERR_DECLIP_INVALID_ARG: 400,
  ERR_DECLIP_IMAGE: 422,
  ERR_DECLIP_BUSY: 503,
  ERR_DECLIP_OUT_OF_MEMORY: 503,
  ERR_DECLIP_ABORTED: 504,
}

const words = {
  type: 'object',
  properties: {
    classes: { type: 'string', minLength: 1, maxLength: 10_000 },
    format: { enum: ['json', 'png', 'overlay'], default: 'json' },
  },
}
const query = { querystring: { ...words, required: ['classes'] } }

/**
 * @param model a loaded Model
 * @param settings timeout of a call and maxUpload of a picture, in ms and bytes; keptPictures that stay
 *   encoded; stopping: a signal that ends all calls
 */
export async function buildServer({
  model,
  timeout = 30_000,
  maxUpload = 32 * 2 ** 20,
  keptPictures = 32,
  stopping = new AbortController().signal,
}) {
  const app = Fastify({
    forceCloseConnections: 'idle',
    requestTimeout: 60_000,
    keepAliveTimeout: 5_000,
  })
  const metrics = makeMetrics(app)
  await acceptUploads(app, { maxUpload })
  const pictures = new Map() // id -> View, the least recently used first
  let draining = false

  /** What every call is given: who asked, until when, and a signal that fires when they have left. */
  function callOptions(request, reply) {
    const left = new AbortController()
    if (reply.raw.destroyed || request.raw.socket.destroyed) left.abort() // while it was uploaded
    reply.raw.on('close', () => reply.raw.writableFinished || left.abort())
    return { timeout, client: request.ip, signal: AbortSignal.any([left.signal, stopping]) }
  }

  app.get('/health', () => ({ status: 'ok' }))
  app.get('/ready', (_, reply) => reply.code(draining ? 503 : 200).send({ ready: !draining }))
  app.get('/metrics', async (_, reply) =>
    reply.type(metrics.contentType).send(await metrics.text()),
  )

  app.post('/segment', { schema: query }, (request, reply) => {
    const options = { ...callOptions(request, reply), model }
    return answer(request, reply, more =>
      segment(pictureOf(request), listOf(request.query.classes), { ...options, ...more }),
    )
  })

  app.post('/pictures', async (request, reply) => {
    const view = await model.encode(pictureOf(request), callOptions(request, reply))
    const id = randomUUID()
    pictures.set(id, view)
    if (pictures.size > keptPictures) drop(pictures.keys().next().value)
    return { id, width: view.width, height: view.height }
  })

  app.post('/pictures/:id/segment', { schema: query }, (request, reply) => {
    const view = pictures.get(request.params.id)
    if (!view) return reply.callNotFound()
    pictures.delete(request.params.id) // it moves to the end
    pictures.set(request.params.id, view)
    // Milliseconds of work: it goes before whole pictures.
    const options = { ...callOptions(request, reply), priority: 'high' }
    return answer(request, reply, more =>
      view.segment(listOf(request.query.classes), { ...options, ...more }),
    )
  })

  app.delete('/pictures/:id', (request, reply) => {
    if (!drop(request.params.id)) return reply.callNotFound()
    return reply.code(204).send()
  })

  function drop(id) {
    pictures.get(id)?.dispose()
    return pictures.delete(id)
  }

  app.setErrorHandler((error, request, reply) => {
    const status = error instanceof DeclipError ? STATUS[error.code] : error.statusCode
    if (status === 503) reply.header('retry-after', '1')
    if (status === undefined || status >= 500) metrics.failed(error)
    return reply.code(status ?? 500).send({
      code: error.code,
      // What went wrong inside is nobody's business outside, nor where uploads lie.
      message:
        status === undefined
          ? 'The picture could not be segmented.'
          : error.message.replaceAll(request.body, 'the picture'),
    })
  })
  app.addHook('preClose', async () => {
    draining = true
  })
  // A connection that stays open would keep a draining server.
  app.addHook('onSend', async (_, reply) => {
    if (draining) reply.header('connection', 'close')
  })
  app.addHook('onClose', () => {
    for (const id of [...pictures.keys()]) drop(id)
  })
  return app
}

/** The file of the uploaded picture. */
function pictureOf({ body }) {
  if (typeof body === 'string') return body
  throw Object.assign(new Error('The body must be a picture.'), {
    statusCode: 400,
    code: 'NO_PICTURE',
  })
}

function listOf(classes) {
  return classes
    .split(';')
    .map(name => name.trim())
    .filter(Boolean)
}

/** Sends what `run` resolves to, with progress on the way if that is asked for. */
async function answer(request, reply, run) {
  if (!request.headers.accept?.includes('application/x-ndjson')) {
    return send(reply, await run({}), request.query.format)
  }
  reply.hijack()
  const line = value => reply.raw.write(`${JSON.stringify(value)}\n`)
  reply.raw.writeHead(200, { 'content-type': 'application/x-ndjson' })
  try {
    const seg = await run({ onProgress: progress => line({ progress }) })
    line({ result: await describe(seg).finally(() => seg.dispose()) })
  } catch (error) {
    line({ error: { code: error.code, message: error.message } })
  }
  reply.raw.end()
}

async function send(reply, seg, format) {
  try {
    if (format === 'json') return await describe(seg)
    reply.type('image/png')
    return Buffer.from(await seg.toPNG({ overlay: format === 'overlay' }))
  } finally {
    seg.dispose()
  }
}

/** Classes, their share of the picture, and where they are, as COCO's compressed run lengths. */
async function describe(seg) {
  const { classes, areas, width, height, timings } = seg
  return { classes, areas, width, height, timings, rle: await seg.toRLE({ compressed: true }) }
}
