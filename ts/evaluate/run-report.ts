import type { Call } from '../base/call.js'
import { admit } from '../engine/admission.js'
import type { DatasetPicture } from './datasets/dataset.js'
import type { PictureLayers, ReportResult } from './report/parts.js'
import { writeReport } from './report/write-report.js'
import type { RunHeader } from './run-folder.js'
import type { Scored } from './tally.js'
import type { ReadyTask } from './tasks/task.js'

/** What shows the worst pictures; without it they are listed. @internal */
export interface Shown {
  readonly task: ReadyTask
  readonly pictures: readonly DatasetPicture[]
}

/**
 * Writes the report of a run into its folder.
 *
 * @throws DeclipError ERR_DECLIP_IO, ERR_DECLIP_ABORTED
 * @internal
 */
export async function writeRunReport(
  out: string,
  { header, scored, shown }: { header: RunHeader; scored: Scored; shown?: Shown | undefined },
  { signal, priority, client }: Call,
): Promise<void> {
  const { result, confusion, curves, scores } = scored
  const layersOf = async (id: string): Promise<PictureLayers | undefined> => {
    const picture = shown?.pictures.find(one => one.id === id)
    const show = shown?.task.layers
    if (!picture || !show) return undefined
    if (shown.task.admits) return show(picture, { signal, priority, client })
    return admit({ signal, priority, client }, call => show(picture, call), { refusable: false })
  }
  await writeReport({
    result: result as ReportResult,
    classes: header.classes,
    confusion,
    pictures: scores,
    overlays: shown && layersOf,
    curves,
    background: header.background,
    out,
    signal,
  })
}
