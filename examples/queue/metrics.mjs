/** Prometheus metrics: of the process, of pictures, of the queue, and of the engine. */
import { stats } from 'declip-native'
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

/** What becomes of a picture that a worker takes: see worker.mjs. */
const OUTCOMES = ['done', 'again', 'retried', 'failed', 'returned', 'stalled']
const STATES = ['wait', 'active', 'delayed', 'failed']

export function makeMetrics(queue) {
  const register = new Registry()
  const registers = [register]
  collectDefaultMetrics({ register })
  const pictures = new Counter({
    name: 'declip_pictures_total',
    help: 'Pictures that this worker took, by what became of them',
    labelNames: ['outcome'],
    registers,
  })
  for (const outcome of OUTCOMES) pictures.inc({ outcome }, 0)
  const seconds = new Histogram({
    name: 'declip_picture_seconds',
    help: 'Time of a picture from its start to its files',
    buckets: [0.03, 0.1, 0.3, 1, 3, 10, 30, 100],
    registers,
  })
  new Gauge({
    name: 'declip_queue_jobs',
    help: 'Pictures in the queue of all workers, by state; none while Redis is away',
    labelNames: ['state'],
    registers,
    async collect() {
      this.reset()
      const counts = await queue.getJobCounts(...STATES).catch(() => ({}))
      for (const [state, count] of Object.entries(counts)) this.set({ state }, count)
    },
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
  gauge('declip_running', 'Calls that compute', s => s.running)
  gauge('declip_threads', 'Threads that compute', s => s.threads)
  gauge('declip_memory_used_bytes', 'Memory of pictures and tensors', s => s.memory.used)
  gauge('declip_memory_budget_bytes', 'What that may be at most', s => s.memory.budget)

  return {
    contentType: register.contentType,
    text: () => register.metrics(),
    count(outcome, time) {
      pictures.inc({ outcome })
      if (time !== undefined) seconds.observe(time)
    },
  }
}
