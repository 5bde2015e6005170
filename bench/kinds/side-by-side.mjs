/**
 * One task by several programs, each in a process of its own, in turns (A B C A B C ...), so that
 * whatever else the machine does falls on all of them. The first program's answer is what the others'
 * are compared with before anything is timed.
 *
 * { task, programs, agree, goals, ceiling, repeat, warmUp, wake }
 * task      { name, ... } of tasks.mjs
 * programs  { label, program, dtype, agree, times, ... }: `program` one of contestants.mjs; `times`
 *           it runs in every turn; the rest is added to its request
 * agree     { measure, width, atLeast } of agreement.mjs, or undefined for tasks without an answer
 * ceiling   label of the program whose rate the others' are shares of
 * goals     { work, measure, ours, theirs, atLeast }, see goalOf()
 * wake      true: every turn begins with a run that does not count, as a throughput is asked for and
 *           a process that has slept starts slowly, on a virtual machine up to twice as slowly
 * warmUp    0 for a program so slow that the run which is checked is timed too
 */

import { rm } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { loadAddon } from '../../dist/engine/load-addon.js'
import { agreement, checkTelling, elementsFor } from '../agreement.mjs'
import { contestant } from '../contestants.mjs'
import { readRaw } from '../inputs.mjs'
import { check, statistics } from '../measure.mjs'
import { Program } from '../program.mjs'
import { prepare } from '../tasks.mjs'

/** Between turns: the threads of the program before stop spinning. */
const PAUSE = 50

export async function run(benchCase, { folder, dtype }) {
  const { name, task, programs, repeat, warmUp = 1, wake = false } = benchCase
  const { threads, layers } = loadAddon().runtime()
  const request = { ...(await prepare(task, { folder, name })), threads }
  const entries = programs.map(({ label, program, agree, times = 1, ...more }) => {
    const start = contestant(program, request)
    const own = { dtype, ...request, ...more }
    const entry = { label: label ?? program, agree, times, start, request: own }
    return { ...entry, obstacle: obstacleOf(entry, layers) }
  })
  const present = entries.filter(({ obstacle }) => !obstacle)
  const skipped = entries
    .filter(({ obstacle }) => obstacle)
    .map(({ label, obstacle }) => `${label}: ${obstacle}`)
  const running = new Map()
  try {
    for (const { label, start, request } of present) {
      running.set(label, await Program.start(label, start, request))
    }
    const all = [...running.values()]
    for (const program of all) checkItself(program)
    for (const program of all) await program.run({ counts: warmUp === 0 })
    const agreements = benchCase.agree
      ? await compare(benchCase.agree, present, running, request)
      : {}
    for (let turn = warmUp === 0 ? 1 : 0; turn < repeat; turn++) {
      for (const { label, times } of present) {
        await sleep(PAUSE)
        if (wake) await running.get(label).run({ counts: false })
        for (let n = 0; n < times; n++) await running.get(label).run()
      }
    }
    return result(benchCase, running, agreements, skipped)
  } finally {
    for (const program of running.values()) await program.stop()
  }
}

/** Why a program cannot take part here: it is not set up, or the processor lacks units. */
function obstacleOf({ start, request: { dtype } }, layers) {
  if (start.missing) return `not set up; \`${start.missing}\` prepares it`
  if (dtype === 'int8' && layers.int8.startsWith('refused')) return layers.int8
  if (dtype === 'bfloat16' && !layers.bfloat16.startsWith('oneDNN'))
    return 'this processor has no units for bfloat16'
  return undefined
}

/** What a program found when it compared itself with plain loops. */
function checkItself({ label, facts: { error, tolerance } }) {
  if (tolerance === undefined) return
  check(error <= tolerance, `${label} is off by ${error}, more than ${tolerance}`)
}

/** Agreement of every program's answer with that of the first. */
async function compare({ measure, width, atLeast }, present, running, { inputs }) {
  const agreements = {}
  let first
  for (const { label, agree = atLeast } of present) {
    const path = `${inputs}/answer`
    await running.get(label).answer(path)
    const answer = await readRaw(path, elementsFor(measure))
    checkTelling(measure, answer)
    first ??= answer
    agreements[label] = agreement(measure, first, answer, width)
    check(agreements[label] >= agree, `${label} agrees to ${agreements[label]}, not ${agree}`)
    await rm(path)
  }
  return agreements
}

function result({ task, goals = [], ceiling }, running, agreements, skipped) {
  const notes = {}
  for (const [label, { facts, samples, peakMemory, extraMemory }] of running) {
    const { median } = statistics(samples)
    if (facts.engine) notes[`${label}: engine`] = facts.engine
    if (facts.flops) notes[`${label}: GFLOP/s`] = facts.flops / median / 1e6
    if (facts.moved) notes[`${label}: GB/s`] = facts.moved / median / 1e6
    if (ceiling && label !== ceiling) {
      notes[`share of ${ceiling}`] = share(running.get(label), running.get(ceiling))
    }
    if (task.memory) notes[`peak beyond inputs and answer, ${label}`] = extraMemory
    else notes[`peak, ${label}`] = peakMemory
    if (label in agreements) notes[`${label}: agreement`] = agreements[label]
  }
  return {
    rows: [...running].map(([what, { samples }]) => ({ what, samples })),
    notes,
    skipped,
    goals: goals
      .filter(({ ours, theirs = ours }) => running.has(ours) && running.has(theirs))
      .map(goal => goalOf(goal, running, agreements)),
  }
}

/** Of a ceiling's operations or bytes in the same time. */
function share(program, ceiling) {
  const unit = ceiling.facts.flops ? 'flops' : 'moved'
  const [mine, most] = [program, ceiling].map(
    ({ samples, facts }) => facts[unit] / statistics(samples).median,
  )
  return mine / most
}

/** One line of the table of goals: what ours and theirs took, and the ratio that the goal is about. */
function goalOf({ ours, theirs, measure, ...goal }, running, agreements) {
  const [mine, other] = [running.get(ours), running.get(theirs)]
  const of = {
    time: program => ({ unit: 'ms', value: statistics(program.samples).median }),
    'peak memory': program => ({ unit: 'bytes', value: program.peakMemory }),
    'extra memory': program => ({ unit: 'bytes', value: program.extraMemory }),
  }[measure]
  const line = { ...goal, measure, program: ours, against: theirs }
  if (measure === 'agreement') return { ...line, ratio: agreements[ours] }
  const [a, b] = [of(mine), of(other)]
  return { ...line, unit: a.unit, ours: a.value, theirs: b.value, ratio: b.value / a.value }
}
