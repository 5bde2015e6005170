import { stat } from 'node:fs/promises'
import type { Command } from 'commander'
import { DeclipError } from '../errors.js'
import { merge } from '../evaluate/merge.js'
import { isExport, mergeExports } from '../export/merge.js'
import { describeResult } from './eval-table.js'
import { examples, type Run } from './shared.js'

/** Options of `declip merge` as commander gives them. */
interface MergeFlags {
  out?: string
  report?: boolean
  json?: boolean
}

/** Missing pictures that a message names. */
const MOST_NAMED = 5

/** Adds `declip merge`. */
export function addMerge(program: Command, run: Run): void {
  program
    .command('merge')
    .summary('unite the parts of an evaluation or of an exported data set')
    .description(
      "Unites what 'declip eval --shard' or 'declip export --shard' wrote: the figures and the data set are those of a run in one go, to the last digit.",
    )
    .argument('<part...>', 'folders of --out, or results files in them')
    .option('--out <folder>', 'united results, figures and a report; or the data set')
    .option('--no-report', 'no report.html in that folder')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      examples(
        'declip merge parts --out whole',
        'declip merge part-1 part-2 part-3 --json',
        'declip merge set-1 set-2 --out set',
      ),
    )
    .action((parts: string[], flags: MergeFlags) => mergeCommand(parts, flags, run))
}

async function mergeCommand(given: string[], flags: MergeFlags, run: Run): Promise<void> {
  const { signal } = run
  const { out, report, json } = flags
  if (await isExportFolder(given[0])) return mergeDataset(given, flags, run)
  const { result, missingParts, doubled } = await merge(given, { out, report, signal })
  run.print(json ? JSON.stringify(result) : describeResult(result, { out }))
  if (doubled.length > 0) {
    run.tell(
      `${doubled.length} pictures are in several parts with the same result; each counts once`,
    )
  }
  const { failed, missing, pictures } = result
  const all = pictures + failed.length + missing.length
  if (missing.length > 0) {
    const parts = missingParts.length > 0 ? `parts ${missingParts.join(', ')} are missing: ` : ''
    const more = missing.length > MOST_NAMED ? ', ...' : ''
    throw new DeclipError(
      'ERR_DECLIP_IO',
      `${parts}${missing.length} of ${all} pictures have no result and no figure counts them (${missing.slice(0, MOST_NAMED).join(', ')}${more}). Run the missing parts, or go on with unfinished ones by --resume.`,
    )
  }
  if (failed.length > 0) {
    throw new DeclipError(
      'ERR_DECLIP_IMAGE',
      `${failed.length} of ${all} pictures failed and no figure counts them; declip eval --resume does them again.`,
    )
  }
}

async function isExportFolder(path: string | undefined): Promise<boolean> {
  if (path === undefined) return false
  const there = await stat(path).catch(() => undefined)
  return there?.isDirectory() === true && isExport(path)
}

async function mergeDataset(
  given: string[],
  { out, json }: MergeFlags,
  { signal, print }: Run,
): Promise<void> {
  const merged = await mergeExports(given, { out, signal })
  const { pictures, missing, files } = merged
  print(
    json ? JSON.stringify(merged) : [`a data set of ${pictures} pictures`, ...files].join('\n  '),
  )
  if (missing.length === 0) return
  throw new DeclipError(
    'ERR_DECLIP_IO',
    `Parts ${missing.join(', ')} are missing, so the data set has no pictures of theirs. Run them with --shard and merge again.`,
  )
}
