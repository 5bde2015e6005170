import { join } from 'node:path'
import { DeclipError } from '../../errors.js'
import { backgroundLabel, DATASETS, type Dataset } from '../../methods/benchmarks.js'
import type { DatasetClass, DatasetPicture, OpenDataset } from './dataset.js'
import { filesBelow, findRoot, isFile, missingNote, readStems, some } from './files.js'
import { LAYOUTS, type LabelForm, type Layout, type SemanticName } from './layouts.js'
import { readLabelMat } from './mat-file.js'
import { labelledPicture, readPicture } from './semantic.js'

/** What was found of a set. */
interface Found {
  readonly root: string
  readonly form: LabelForm
  /** Label files below `form.folder`. */
  readonly labels: ReadonlySet<string>
}

/** Names that mmsegmentation's converters write beside the originals, which end in .png as well. */
const CONVERTED = /_(label|instance)TrainIds\.png$/

/**
 * A segmentation benchmark in one of the layouts of {@link LAYOUTS}: the list of its pictures, in the order of its
 * list file or of their paths.
 *
 * @throws DeclipError ERR_DECLIP_IO for what is missing, ERR_DECLIP_INVALID_ARG for a list that is broken
 */
export async function openBenchmark(
  name: SemanticName,
  data: string,
  signal?: AbortSignal,
): Promise<OpenDataset<'semantic'>> {
  const layout = LAYOUTS[name]
  const wanted = layout.labels.map(({ folder, ending }) => `${folder}/*${ending}`)
  const found = await findRoot(
    data,
    layout.roots,
    root => findLabels(root, layout, signal),
    `labels of ${layout.title} (${[...new Set(wanted)].join(' or ')})`,
  )
  const { root, form } = found
  const { folder: images, stems } = await findImages(root, layout, signal)
  const list = form.listed ? undefined : await findList(root, layout)
  const ids = await idsOf(found, stems, list)
  const notes = form.converted
    ? [`Labels are made from ${form.converted} (${join(root, form.folder)}/*${form.ending}).`]
    : []
  const lacking = { pictures: [] as string[], labels: [] as string[] }
  const read = form.ending === '.mat' ? readLabelMat : readPicture
  const pictures = ids.map((id): DatasetPicture<'semantic'> => {
    const image = join(images, `${id}${layout.imageEnding}`)
    const labels = join(root, form.folder, `${id}${form.ending}`)
    let missing: string | undefined
    if (!stems.has(id)) {
      missing = `The picture ${image}${list ? `, which ${list} names,` : ''} is not there.`
      lacking.pictures.push(`${id}${layout.imageEnding}`)
    } else if (!found.labels.has(`${id}${form.ending}`)) {
      missing = `${labels}, the labels of ${image}, is not there.`
      lacking.labels.push(`${id}${form.ending}`)
    }
    return labelledPicture(id, image, labels, form.table, read, missing)
  })
  if (lacking.pictures.length + lacking.labels.length === pictures.length) {
    const [kind, place, files] =
      lacking.pictures.length > 0
        ? ['pictures', images, lacking.pictures]
        : ['label files', join(root, form.folder), lacking.labels]
    throw new DeclipError(
      'ERR_DECLIP_IO',
      `data: none of the ${kind} that ${layout.title} has is in ${place}: ${some(files)} are missing. Check that pictures and labels are of one release.`,
    )
  }
  if (lacking.pictures.length > 0) {
    notes.push(missingNote(lacking.pictures, 'picture'))
  }
  if (lacking.labels.length > 0) {
    notes.push(missingNote(lacking.labels, 'label file'))
  }
  if (!layout.pictures.includes(pictures.length)) {
    notes.push(
      `${layout.title}'s published figures are of ${layout.pictures.join(' or ')} pictures; these are ${pictures.length}.`,
    )
  }
  const { labels: names, things, backgroundWords }: Dataset = DATASETS[name]
  const background = backgroundLabel(DATASETS[name])
  const classes = names.map(
    (name, label): DatasetClass => ({
      name,
      words: (label === background && backgroundWords) || name.split(', '),
      ...(things !== undefined && { thing: label < things }),
    }),
  )
  return {
    name,
    task: 'semantic',
    classes,
    background: backgroundLabel(DATASETS[name]),
    pictures,
    notes,
  }
}

/** The list's stems, without a list those of all pictures; of labels that are the list, theirs. */
async function idsOf(
  { form, labels }: Found,
  stems: ReadonlySet<string>,
  list: string | undefined,
): Promise<string[]> {
  if (!form.listed) return list ? readStems(list) : [...stems]
  return [...labels].map(name => name.slice(0, -form.ending.length))
}

/** The first form of labels that is there. */
async function findLabels(
  root: string,
  layout: Layout,
  signal: AbortSignal | undefined,
): Promise<Found | undefined> {
  const listed = new Map<string, string[]>()
  for (const form of layout.labels) {
    const known = listed.get(form.folder)
    const names = known ?? (await filesBelow(join(root, form.folder), signal)) ?? []
    listed.set(form.folder, names)
    const isOwn = (name: string) =>
      name.endsWith(form.ending) && (form.ending !== '.png' || !CONVERTED.test(name))
    const labels = new Set(names.filter(isOwn))
    if (labels.size > 0) return { root, form, labels }
  }
  return undefined
}

async function findImages(
  root: string,
  { title, images, imageEnding }: Layout,
  signal: AbortSignal | undefined,
): Promise<{ folder: string; stems: Set<string> }> {
  for (const folder of images) {
    const names = (await filesBelow(join(root, folder), signal)) ?? []
    const stems = names
      .filter(name => name.endsWith(imageEnding))
      .map(name => name.slice(0, -imageEnding.length))
    if (stems.length > 0) return { folder: join(root, folder), stems: new Set(stems) }
  }
  const places = images.map(folder => `${join(root, folder)}/*${imageEnding}`)
  throw new DeclipError(
    'ERR_DECLIP_IO',
    `data: ${title}'s labels are there, its pictures are not: looked for ${places.join(', ')}.`,
  )
}

async function findList(root: string, { title, lists }: Layout): Promise<string | undefined> {
  if (!lists) return undefined
  for (const list of lists) if (await isFile(join(root, list))) return join(root, list)
  const places = lists.map(list => join(root, list))
  throw new DeclipError(
    'ERR_DECLIP_IO',
    `data: ${title}'s list of pictures is not there: looked for ${places.join(', ')}.`,
  )
}
