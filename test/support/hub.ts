import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'

const COMMIT = '0123456789abcdef0123456789abcdef01234567'

/** Plays the hub on loopback for one repository; resolves to its address. Closed with the test. */
export async function serveHub(
  t: Test,
  id: string,
  files: Readonly<Record<string, Buffer>>,
  license?: string,
): Promise<string> {
  const server = createServer((request, response) => {
    const path = (request.url ?? '').split('?')[0] as string
    const json = (value: unknown) => response.end(JSON.stringify(value))
    if (path.startsWith(`/api/models/${id}/revision/`)) {
      return json({ sha: COMMIT, cardData: license && { license } })
    }
    if (path.startsWith(`/api/models/${id}/tree/`)) {
      return json(
        Object.entries(files).map(([path, content]) => {
          const oid = createHash('sha256').update(content).digest('hex')
          return {
            type: 'file',
            path,
            size: content.length,
            oid,
            lfs: { oid, size: content.length },
          }
        }),
      )
    }
    const content = files[path.replace(`/${id}/resolve/${COMMIT}/`, '')]
    if (!content) return response.writeHead(404).end()
    response.writeHead(200, { 'content-length': content.length }).end(content)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
