/** What the environment says, the same for producer, workers and collector. */
const number = (name, otherwise) => {
  const value = Number(process.env[name] ?? otherwise)
  if (value >= 0) return value
  throw new Error(`${name} must be a number from 0 on, received '${process.env[name]}'.`)
}

/** Folders that every machine sees, under whatever path: pictures are read, runs are written. */
export const PICTURES = process.env.PICTURES ?? 'pictures'
export const OUT = process.env.OUT ?? 'out'

/** Each model has a queue of its own, so that workers never get pictures of another. */
export const MODEL = process.env.DECLIP_MODEL ?? 'words-tiny'
export const QUEUE = `segment-${MODEL.replace(/[^\w.-]+/g, '-')}`

export const REDIS_URL = process.env.REDIS_URL ?? 'redis://127.0.0.1:6379'

/** Tries of a picture; the time before the second in ms, which doubles with each further one. */
export const ATTEMPTS = number('ATTEMPTS', 3)
export const BACKOFF_MS = number('BACKOFF_MS', 2000)

/** A worker that has not been heard of for so long is dead, and its pictures go to others. */
export const LOCK_MS = number('LOCK_MS', 30_000)
/** Workers that may die over a picture before it counts as failed. */
export const MAX_DEATHS = number('MAX_DEATHS', 2)

/** Pictures in work at a time; 0: as many as keep the engine's threads busy. */
export const CONCURRENCY = number('CONCURRENCY', 0)
/** How long a worker that shall stop goes on with what it has begun. */
export const DRAIN_MS = number('DRAIN_MS', 25_000)

export const HOST = process.env.HOST ?? '127.0.0.1'
export const PORT = number('PORT', 3000)
