/** What orchestrators and Prometheus ask a worker. */
import Fastify from 'fastify'

/** Resolves when it listens; `address`, `close()`. */
export async function serve({ queue, metrics, isDraining, host, port }) {
  const app = Fastify({ forceCloseConnections: true })
  // The process turns its event loop: nothing that a restart would not mend is looked at.
  app.get('/health', () => ({ status: 'ok' }))
  app.get('/ready', async (_, reply) => {
    const redis = await queue.getJobCounts('wait').then(
      () => true,
      () => false,
    )
    const ready = redis && !isDraining()
    return reply.code(ready ? 200 : 503).send({ ready, redis, draining: isDraining() })
  })
  app.get('/metrics', async (_, reply) =>
    reply.type(metrics.contentType).send(await metrics.text()),
  )
  const address = await app.listen({ host, port })
  return { address, close: () => app.close() }
}
