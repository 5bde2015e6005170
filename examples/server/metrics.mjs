/** Prometheus metrics: of the process, of requests, and of the engine's queue. */
import { stats } from 'declip-native'
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

export function makeMetrics(app) {
  const register = new Registry()
  const registers = [register]
  collectDefaultMetrics({ register })
  const seconds = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'Time of a request',
    labelNames: ['route', 'status'],
    buckets: [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30],
    registers,
  })
  const failures = new Counter({
    name: 'declip_failures_total',
    help: 'Calls that failed for no fault of the caller, by code',
    labelNames: ['code'],
    registers,
  })
  app.addHook('onResponse', async (request, reply) => {
    const labels = { route: request.routeOptions.url ?? 'none', status: reply.statusCode }
    seconds.observe(labels, reply.elapsedTime / 1000)
  })

  const gauge = (name, help, value) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(value(stats()))
      },
    })
  gauge('declip_waiting', 'Calls that wait for their turn', s => s.waiting)
  gauge('declip_decoding', 'Pictures that are decoded, or decoded and waiting', s => s.decoding)
  gauge('declip_running', 'Calls that compute', s => s.running)
  gauge('declip_done_total', 'Calls that were answered', s => s.done)
  gauge('declip_refused_total', 'Calls that were refused as busy', s => s.refused)
  gauge('declip_aborted_total', 'Calls that were stopped', s => s.aborted)
  gauge('declip_memory_used_bytes', 'Memory of pictures and tensors', s => s.memory.used)
  gauge('declip_memory_budget_bytes', 'What that may be at most', s => s.memory.budget)

  return {
    contentType: register.contentType,
    text: () => register.metrics(),
    failed: error => failures.inc({ code: error.code ?? 'unknown' }),
  }
}
