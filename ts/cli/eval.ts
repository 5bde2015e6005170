import { type Command, Option } from 'commander'
import { DeclipError } from '../errors.js'
import type { EvaluationTask } from '../evaluate/datasets/dataset.js'
import { DATASET_TASKS, type EvaluationDataset } from '../evaluate/datasets/open.js'
import { evaluate } from '../evaluate/evaluate.js'
import { EVALUATE_FIELDS } from '../evaluate/options.js'
import { MIOU_CONVENTIONS, type MiouConvention } from '../methods/benchmarks.js'
import { addDetectorOptions, type DetectorFlags, detectorOptions } from './detector-options.js'
import { describeResult } from './eval-table.js'
import { fieldOptions } from './field-options.js'
import {
  addMaskOptions,
  addMethodOptions,
  addWordOptions,
  type MaskFlags,
  type MethodFlags,
  maskOptions,
  methodOptions,
} from './method-options.js'
import { shard } from './shard.js'
import {
  addClassOptions,
  addModelOptions,
  type ClassFlags,
  examples,
  type ModelFlags,
  type Run,
  readClasses,
  usage,
  useThreads,
  whole,
} from './shared.js'

/** Options of `declip eval` as commander gives them. */
export interface EvalFlags
  extends ModelFlags,
    ClassFlags,
    MaskFlags,
    DetectorFlags,
    Omit<MethodFlags, 'dataset'> {
  dataset?: EvaluationDataset
  data?: string
  task?: EvaluationTask
  limit?: number
  shard?: { index: number; count: number }
  out?: string
  resume?: boolean
  report?: boolean
  convention?: MiouConvention
  size?: number
  crops?: boolean
  kind?: 'bbox' | 'segm'
  scoreThreshold?: number
  minArea?: number
  embeddings?: string
  json?: boolean
}

/** Options of tasks that are flags as they are. */
const { size, crops, scoreThreshold, minArea } = EVALUATE_FIELDS
const TASK_FLAGS = Object.entries({ size, crops, scoreThreshold, minArea })

/** Adds `declip eval`. */
export function addEval(program: Command, run: Run): void {
  const command = program
    .command('eval')
    .summary('measure a model on a data set with the truth')
    .description(
      'Measures a model and method on a labelled data set: mIoU of segmentation, accuracy on regions, average precision.',
    )
    .optionsGroup('Data:')
    .addOption(
      new Option('--dataset <name>', 'how the data lies, and which values a method takes').choices(
        Object.keys(DATASET_TASKS),
      ),
    )
    .option('--data <folder>', 'where the data set lies')
    .addOption(
      new Option('--task <task>', "what is measured; default: the data set's").choices([
        'semantic',
        'regions',
        'detection',
      ]),
    )
    .addOption(
      new Option(
        '--convention <name>',
        "which classes mIoU is the mean over; default: as in the method's published figures",
      ).choices(MIOU_CONVENTIONS),
    )
    .addOption(new Option('--limit <n>', 'only the first n pictures').argParser(whole(1)))
    .addOption(
      new Option(
        '--shard <i/n>',
        "only the i-th of n parts of the pictures; 'declip merge' unites them",
      ).argParser(shard),
    )
  addClassOptions(command).option(
    '--embeddings <file>',
    'text features in place of words, a row per class: .npy or a torch file',
  )
  addWordOptions(command)
  addModelOptions(command)
  addMaskOptions(addMethodOptions(command, { dataset: false }))
  command.optionsGroup('Regions and detection:')
  for (const [name, field] of TASK_FLAGS) {
    for (const option of fieldOptions(name, field)) command.addOption(option)
  }
  command.addOption(
    new Option('--kind <kind>', 'detection: whether boxes or masks are compared').choices([
      'bbox',
      'segm',
    ]),
  )
  addDetectorOptions(command)
  command
    .optionsGroup('Output:')
    .option('--out <folder>', 'results of every picture, figures and a report')
    .option('--resume', 'go on with what is in that folder, and do again what failed')
    .option('--no-report', 'no report.html in that folder')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      examples(
        'declip eval --dataset folder --data scenes --model words-tiny --out run',
        'declip eval --dataset folder --data scenes --model words-tiny --out run --resume',
        'declip eval --dataset folder --data scenes --model words-tiny --limit 10 --json',
        'declip eval --dataset folder --data scenes --model words-tiny --shard 1/2 --out parts',
        'declip eval --dataset folder --data scenes --model words-tiny --shard 2/2 --out parts',
        'declip merge parts --out whole',
        'declip eval --dataset folder --data scenes --model words-tiny --masks scenes/labels --refine vote',
        'declip eval --dataset voc21 --data VOCdevkit --model openai/clip-vit-base-patch16 --method naclip --out run',
      ) +
        `

A data set 'folder' has images/*, labels/*.png (index pictures of the same stems, 255 = not counted) and classes.txt
(one class a line). Ctrl-C, kill -9 and a full disk lose at most the pictures in work: --resume goes on.`,
    )
    .action((flags: EvalFlags) => evalCommand(flags, run))
}

async function evalCommand(flags: EvalFlags, run: Run): Promise<void> {
  const { dataset, data, task, limit, out, resume, report, json } = flags
  const { convention, size, crops, kind, scoreThreshold, minArea, embeddings } = flags
  if (dataset === undefined) {
    throw usage(`--dataset is missing: ${Object.keys(DATASET_TASKS).join(', ')}.`)
  }
  if (data === undefined) throw usage('--data is missing: the folder of the data set.')
  if (resume && out === undefined) throw usage('--resume needs --out, the folder to go on with.')
  const given = flags.classes !== undefined || flags.classesFile !== undefined
  if (given && embeddings !== undefined) {
    throw usage('--embeddings takes the place of --classes and --classes-file; give one of them.')
  }
  const classes = given ? await readClasses(flags) : undefined
  const options = {
    ...(await methodOptions(flags, classes ?? [], { detector: true })),
    ...(await maskOptions(flags)),
    ...detectorOptions(flags),
  }
  const { model, device, dtype } = flags
  const { signal, progress } = run
  useThreads(flags)
  let begun: { at: number; done: number } | undefined
  let last = { done: 0, total: 0 }
  try {
    const result = await evaluate({
      ...options,
      model,
      device,
      dtype,
      dataset,
      data,
      task,
      ...(classes && { classes }),
      limit,
      shard: flags.shard && `${flags.shard.index}/${flags.shard.count}`,
      out,
      resume,
      report,
      convention,
      size,
      crops,
      kind,
      scoreThreshold,
      minArea,
      embeddings,
      signal,
      onError: (error, id) => run.complain(named(error, id)),
      onProgress: at => {
        if (at.step !== 'pictures') return progress.update(at)
        const { done, total } = at
        last = at
        begun ??= { at: performance.now(), done }
        const seconds = (performance.now() - begun.at) / 1000
        if (total > begun.done) {
          progress.updatePictures(done - begun.done, total - begun.done, seconds)
        }
      },
    })
    progress.clear()
    run.print(json ? JSON.stringify(result) : describeResult(result, { out }))
    const { failed } = result
    if (failed.length === 0) return
    const all = failed.length + result.pictures
    throw new DeclipError(
      'ERR_DECLIP_IMAGE',
      `${failed.length} of ${all} pictures failed and no figure counts them; ${out === undefined ? 'the lines above say why' : `${out} says why, and --resume does them again`}.`,
    )
  } catch (error) {
    if (signal.aborted && last.total > 0) {
      const done = `${last.done} of ${last.total} pictures are done`
      run.tell(
        out === undefined
          ? `${done}, and not kept: --out keeps them`
          : `${done} and kept in ${out}; the same command with --resume goes on`,
      )
    }
    throw error
  }
}

function named(error: DeclipError, id: string): DeclipError {
  const { code, message } = error
  return message.includes(id) ? error : new DeclipError(code, `picture '${id}': ${message}`)
}
