/**
 * A full-size model of a family, as this package runs it in each number format and as the library that
 * defines it does in PyTorch: a process each, from loading to labels, steps in turns.
 *
 * { original, library, programs, repeat }
 * original   name in peers/pytorch/families/full_size.py, whose folder is written at the first use
 * programs   { label, program, dtype, agree }: the first one's embeddings are what the others' cosines
 *            are taken with; `agree` what they have to be at least
 */
import { existsSync } from 'node:fs'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { loadAddon } from '../../dist/engine/load-addon.js'
import { expandTemplates } from '../../dist/text/templates.js'
import { root, run as runProgram } from '../../scripts/build/common.mjs'
import { agreement } from '../agreement.mjs'
import { photoOfSize, readRaw, WORDS171 } from '../inputs.mjs'
import { check, statistics } from '../measure.mjs'
import { python } from '../peers/setup.mjs'
import { Program } from '../program.mjs'

const PYTORCH = join(root, 'bench/peers/pytorch/families')
const SETUP = 'npm run bench -- --setup-peers'
const WORDS = 20
const PROMPTS = 100

export async function run({ original, library, programs, repeat }, { folder }) {
  const { threads, layers } = loadAddon().runtime()
  if (!existsSync(python)) {
    return {
      rows: [],
      skipped: [`${original}: not set up; \`${SETUP}\` prepares what it is compared with`],
    }
  }
  const request = { ...(await prepare(original, folder)), threads }
  const steps = request.facts.reads ? ['image', 'dense', 'text'] : ['image', 'dense']
  const skipped = []
  const entries = []
  try {
    for (const entry of programs) {
      const obstacle = obstacleOf(entry, layers)
      if (obstacle) {
        skipped.push(`${entry.label}: ${obstacle}`)
        continue
      }
      entries.push({ ...entry, ...(await measured(entry, request, steps)) })
    }
    const agreements = await compare(entries, request)
    for (let turn = 0; turn < repeat; turn++) {
      for (const step of steps) {
        if (step === 'text' && turn > 0) continue // seconds each
        for (const { process, samples } of entries) {
          samples[step].push(await process.run({ step, counts: false }))
        }
      }
    }
    return result({ original, library, entries, steps, agreements, skipped })
  } finally {
    for (const { process } of entries) await process.stop()
  }
}

/** A program after loading and its first call, which is a picture from its file. */
async function measured({ label, program, dtype }, request, steps) {
  const command =
    program === 'original'
      ? { command: python, args: [join(PYTORCH, 'serve.py')] }
      : { command: process.execPath, args: [join(root, 'bench/families/declip.mjs')] }
  const started = await Program.start(label, command, { ...request, dtype })
  const samples = { load: [started.facts.load], first: [] }
  samples.first.push(await started.run({ step: 'image', counts: false }))
  for (const step of steps) samples[step] = []
  return { process: started, samples }
}

function obstacleOf({ dtype }, layers) {
  if (dtype === 'int8' && layers.int8.startsWith('refused')) return layers.int8
  if (dtype === 'bfloat16' && !layers.bfloat16.startsWith('oneDNN'))
    return 'this processor has no units for bfloat16'
  return undefined
}

/** Smallest cosine of pictures' and texts' embeddings with the first program's, by step and label. */
async function compare(entries, { facts, inputs }) {
  const agreements = {}
  for (const step of facts.reads ? ['image', 'text'] : ['image']) {
    let first
    for (const { label, process, agree } of entries) {
      const path = join(inputs, 'answer')
      await process.run({ step, counts: false })
      await process.answer(path)
      const answer = await readRaw(path, Float32Array)
      await rm(path)
      first ??= answer
      const width = step === 'image' ? answer.length : answer.length / PROMPTS
      const cosine = agreement('cosine', first, answer, width)
      agreements[label] = Math.min(agreements[label] ?? 1, cosine)
      if (agree) check(cosine >= agree, `${label}: ${step} agrees to ${cosine}, not ${agree}`)
    }
  }
  return agreements
}

/** Writes the model at the first use, the picture and the texts; what every program is asked. */
async function prepare(original, folder) {
  const model = join(folder, 'families', original)
  if (!existsSync(`${model}.json`)) {
    await mkdir(join(folder, 'families'), { recursive: true })
    await runProgram(python, [join(PYTORCH, 'write_model.py'), original, model])
  }
  const facts = JSON.parse(await readFile(`${model}.json`, 'utf8'))
  const inputs = join(folder, 'inputs', `families-${original}`)
  await mkdir(inputs, { recursive: true })
  const { default: sharp } = await import('sharp')
  const { data, ...raw } = await photoOfSize(facts.side, facts.side)
  const picture = join(inputs, 'picture.png')
  await sharp(data, { raw }).toFile(picture)
  const words = WORDS171.slice(0, WORDS)
  const prompts = WORDS171.flatMap(word => expandTemplates('subset', word)).slice(0, PROMPTS)
  await writeFile(join(inputs, 'prompts.json'), JSON.stringify(prompts))
  return { model, facts, picture, words, prompts, inputs }
}

function result({ original, library, entries, steps, agreements, skipped }) {
  const rows = entries.flatMap(({ label, samples }) =>
    ['load', 'first', ...steps].map(step => ({
      what: `${label}: ${step}`,
      samples: samples[step],
    })),
  )
  const table = entries.map(({ label, process, samples }) => ({
    label: label === 'PyTorch' ? `${library}, PyTorch` : label,
    peak: process.peakMemory,
    agreement: agreements[label],
    ...Object.fromEntries(
      ['load', 'first', ...steps].map(step => [step, statistics(samples[step]).median]),
    ),
  }))
  const notes = {}
  for (const { label, peak, agreement: cosine } of table) {
    notes[`peak, ${label}`] = peak
    notes[`${label}: least cosine`] = cosine
  }
  return { rows, notes, skipped, family: { model: original, table } }
}
