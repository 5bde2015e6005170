/** Reads Label Studio's tasks: masks by the package whose encoding its brush has. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { decode } from '@thi.ng/rle-pack'
import { runsOf } from './runs.js'

interface Task {
  data: { image: string }
  predictions: {
    score: number
    model_version: string
    result: {
      id: string
      type: string
      original_width: number
      original_height: number
      value: { format: string; rle: number[]; brushlabels: string[] }
    }[]
  }[]
}

/** Masks of the tasks by their pictures' addresses. */
export function readTasks(folder: string) {
  const tasks = JSON.parse(readFileSync(join(folder, 'tasks.json'), 'utf8')) as Task[]
  return Object.fromEntries(
    tasks.map(({ data, predictions }) => {
      const masks = (predictions[0]?.result ?? []).map(
        ({ original_width: w, original_height: h, value }) => {
          const rgba = decode(Uint8Array.from(value.rle)) as Uint8Array
          if (rgba.length !== 4 * w * h)
            throw new Error(`${rgba.length} values of ${w} x ${h} pixels`)
          const alpha = Uint8Array.from({ length: w * h }, (_, i) => rgba[4 * i + 3] as number)
          return { class: value.brushlabels[0] as string, counts: runsOf(alpha, w, h, v => v > 0) }
        },
      )
      return [data.image, { masks }] as const
    }),
  )
}
