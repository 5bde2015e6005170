/**
 * Bodies go to files: two hundred uploads that arrive at once then wait on the disk and not in memory,
 * and a call reads its picture when its turn comes.
 */
import { randomUUID } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'

/** Bodies that are read at once; the others wait in their sockets, and the event loop turns in between. */
const AT_ONCE = 16

/** `request.body` of a picture is its file's path, until the answer is sent. */
export async function acceptUploads(app, { maxUpload }) {
  const folder = await mkdtemp(join(tmpdir(), 'declip-uploads-'))
  app.decorateRequest('upload', null)
  const turns = new Turns(AT_ONCE)
  app.addContentTypeParser([/^image\//, 'application/octet-stream'], async (request, payload) => {
    const announced = Number(request.headers['content-length'] ?? 0)
    if (announced > maxUpload) throw tooLarge(maxUpload)
    request.upload = join(folder, randomUUID())
    await turns.take()
    try {
      await pipeline(payload, upTo(maxUpload), createWriteStream(request.upload))
    } finally {
      turns.giveBack()
    }
    return request.upload
  })
  const remove = async request => request.upload && rm(request.upload, { force: true })
  app.addHook('onResponse', remove)
  app.addHook('onRequestAbort', remove)
  app.addHook('onClose', () => rm(folder, { recursive: true, force: true }))
}

/** As many at once as there are turns, in the order in which they asked. */
class Turns {
  #free
  #waiting = []

  constructor(count) {
    this.#free = count
  }

  async take() {
    if (this.#free > 0) this.#free -= 1
    else await new Promise(resolve => this.#waiting.push(resolve))
  }

  giveBack() {
    const next = this.#waiting.shift()
    if (next) next()
    else this.#free += 1
  }
}

/** Passes bytes on and fails after `limit` of them: a chunked body announces no length. */
function upTo(limit) {
  let seen = 0
  return new Transform({
    transform(chunk, _, done) {
      seen += chunk.length
      done(seen > limit ? tooLarge(limit) : null, chunk)
    },
  })
}

function tooLarge(limit) {
  const message = `A picture may have ${limit} bytes at most.`
  return Object.assign(new Error(message), { statusCode: 413, code: 'UPLOAD_TOO_LARGE' })
}
