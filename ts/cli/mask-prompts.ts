/** Points and boxes of `declip masks`. */
import { parse } from 'node:path'
import type { Command } from 'commander'
import { writeFileAtomic } from '../base/files.js'
import type { MaskBox, MaskPoint, MaskPromptOptions, PointLabel } from '../model/mask-prompts.js'
import type { PromptedMasks } from '../result/prompted-masks.js'
import { usage } from './shared.js'

/** What the flags of {@link addPromptOptions} give. */
export interface PromptFlags {
  point?: string[] | undefined
  box?: string[] | undefined
  multimask?: boolean | undefined
}

const several = (value: string, before: string[] = []): string[] => [...before, value]

/** Adds --point and --box; --multimask and --no-multimask are those of the generator. */
export function addPromptOptions(command: Command): Command {
  return command
    .optionsGroup('Prompts, in place of a grid of points:')
    .option(
      '--point <x,y[,label]>',
      'a point of the object in pixels, again for more; label 0: not of it',
      several,
    )
    .option(
      '--box <x1,y1,x2,y2>',
      'a box around an object in pixels, again for more objects',
      several,
    )
}

/** Whether masks of prompts are asked for. */
export function hasPrompts({ point, box }: PromptFlags): boolean {
  return point !== undefined || box !== undefined
}

/**
 * The flags as prompts: points are one prompt, with the one box if there is one; boxes alone are a prompt each.
 *
 * @throws DeclipError ERR_DECLIP_INVALID_ARG naming the flag
 */
export function readPrompts({ point, box, multimask }: PromptFlags): MaskPromptOptions {
  if (point !== undefined && box !== undefined && box.length > 1) {
    throw usage('--point goes with one --box at most; several boxes are an object each.')
  }
  const told = point?.map(text => numbers('point', text, [2, 3]))
  return {
    points: told?.map(([x, y]) => [x, y] as MaskPoint),
    labels: told?.map(([, , label = 1]) => label as PointLabel),
    boxes: box?.map(text => numbers('box', text, [4]) as unknown as MaskBox),
    ...(multimask === undefined ? {} : { multimask }),
  }
}

function numbers(flag: string, text: string, lengths: readonly number[]): number[] {
  const values = text.split(',').map(part => (part.trim() === '' ? Number.NaN : Number(part)))
  if (lengths.includes(values.length) && values.every(Number.isFinite)) return values
  throw usage(
    `--${flag} must be ${lengths.join(' or ')} numbers with commas between them, received '${text}'.`,
  )
}

/** Writes one mask as `path`, several as path-1.png, path-2.png and so on. Returns the files. */
export async function writeMasks(found: PromptedMasks, path: string): Promise<string[]> {
  const { dir, name, ext } = parse(path)
  const files: string[] = []
  for (const i of found.masks.keys()) {
    const file =
      found.masks.length === 1 ? path : `${dir === '' ? '' : `${dir}/`}${name}-${i + 1}${ext}`
    await writeFileAtomic(file, await found.toPNG(i))
    files.push(file)
  }
  return files
}

/** What was found, a line for every mask. */
export function describeMasks({
  masks,
  scores,
  areas,
  boxes,
  masksPerPrompt,
}: PromptedMasks): string {
  return masks
    .map((_, i) => {
      const [x, y, width, height] = boxes[i] ?? [0, 0, 0, 0]
      const prompt = Math.floor(i / masksPerPrompt) + 1
      return `prompt ${prompt}: ${areas[i]} pixels in ${width} x ${height} at ${x},${y}, predicted overlap ${(scores[i] as number).toFixed(3)}`
    })
    .join('\n')
}
