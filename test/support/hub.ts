import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'

const COMMIT = '0123456789abcdef0123456789abcdef01234567'

/** What else the hub of a test says and tells. */
export interface HubBehaviour {
  /** Of the model card. */
  cardData?: object
  gated?: false | 'auto' | 'manual'
  /** Listed in place of the files' own sizes, in bytes. */
  sizes?: Readonly<Record<string, number>>
  /** Status of the answer to every request of a file, with the reason. */
  refuses?: readonly [status: number, why: string]
  onFile?: (name: string) => void
}

/** Plays the hub on loopback for one repository; resolves to its address. Closed with the test. */
export async function serveHub(
  t: Test,
  id: string,
  files: Readonly<Record<string, Buffer>>,
  { cardData, gated = false, sizes = {}, refuses, onFile }: HubBehaviour = {},
): Promise<string> {
  const server = createServer((request, response) => {
    const path = (request.url ?? '').split('?')[0] as string
    const json = (value: unknown) => response.end(JSON.stringify(value))
    if (path.startsWith(`/api/models/${id}/revision/`)) {
      return json({ sha: COMMIT, gated, cardData })
    }
    if (path.startsWith(`/api/models/${id}/tree/`)) {
      return json(
        Object.entries(files).map(([path, content]) => {
          const oid = createHash('sha256').update(content).digest('hex')
          const size = sizes[path] ?? content.length
          return { type: 'file', path, size, oid, lfs: { oid, size } }
        }),
      )
    }
    const name = decodeURIComponent(path.replace(`/${id}/resolve/${COMMIT}/`, ''))
    const content = files[name]
    if (!content) return response.writeHead(404).end()
    onFile?.(name)
    if (refuses) {
      const [status, why] = refuses
      return response.writeHead(status, { 'x-error-message': why }).end(why)
    }
    response.writeHead(200, { 'content-length': content.length }).end(content)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
