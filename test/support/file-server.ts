import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'

/** Answers a request in place of the server, or returns false to let it answer as usual. */
export type Intercept = (request: IncomingMessage, response: ServerResponse) => boolean

/** A server on loopback that holds one file and understands Range; closed with the test. */
export interface FileServer {
  url: string
  /** The Range header of each request, '' where there was none. */
  ranges: string[]
}

export async function serveFile(
  t: Test,
  name: string,
  content: Buffer,
  intercept: Intercept = () => false,
): Promise<FileServer> {
  const ranges: string[] = []
  const server = createServer((request, response) => {
    const range = request.headers.range ?? ''
    ranges.push(range)
    if (intercept(request, response)) return
    const start = Number(/^bytes=(\d+)-$/.exec(range)?.[1] ?? 0)
    if (start > 0 && start >= content.length) {
      response.writeHead(416).end()
      return
    }
    response.writeHead(start > 0 ? 206 : 200, { 'content-length': content.length - start })
    response.end(content.subarray(start))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}/${name}`, ranges }
}
