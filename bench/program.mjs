/**
 * A contestant: a process that does one task over and over, whatever it is written in.
 *
 * It gets the task as JSON in its last argument and talks in lines of JSON:
 *
 *   < {"ready":true,"engine":"...","rss":n,"peak":n}      loaded; resident memory in bytes, and its peak
 *     optional: "flops" and "moved", operations and bytes of one run; "error" and "tolerance", what
 *     its answer on a small input is off by
 *   > run, or run STEP where a program does several things
 *   < {"ms":t,"peak":n,"bytes":n}    time, peak of the resident memory since "ready", size of the answer
 *   > answer PATH
 *   < {"written":true}               the last answer as raw little-endian numbers
 *
 * and ends when its input ends. bench/serve.mjs is the other side for those in JavaScript.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { check } from './measure.mjs'

export class Program {
  /** Milliseconds of every run. */
  samples = []
  #child
  #messages
  #baseline
  #peaks = []
  #answerBytes = 0

  /** Resolves when the program is ready to run. */
  static async start(label, { command, args, env }, request) {
    const program = new Program()
    program.label = label
    program.#child = spawn(command, [...args, JSON.stringify(request)], {
      env: { ...process.env, ...env },
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    program.#child.stdin.on('error', () => {}) // its end shows as a missing message
    program.#messages = createInterface({ input: program.#child.stdout })[Symbol.asyncIterator]()
    program.facts = await program.#message('ready')
    program.#baseline = program.facts.rss
    return program
  }

  /** Runs the task, or a step of it, once and resolves to the milliseconds; `counts`: they are kept. */
  async run({ counts = true, step } = {}) {
    const { ms, peak, bytes } = await this.#ask(step ? `run ${step}` : 'run', 'ms')
    if (counts) this.samples.push(ms)
    this.#peaks.push(peak)
    this.#answerBytes = bytes
    return ms
  }

  /** Writes the last run's answer to a file. */
  async answer(path) {
    await this.#ask(`answer ${path}`, 'written')
  }

  /** Highest resident memory of the whole process, in bytes. */
  get peakMemory() {
    return Math.max(this.facts.peak, ...this.#peaks)
  }

  /** What the runs took beyond the inputs and the answer, in bytes. */
  get extraMemory() {
    return Math.max(0, Math.max(...this.#peaks) - this.#baseline - this.#answerBytes)
  }

  async stop() {
    if (this.#child.exitCode !== null) return
    const exit = once(this.#child, 'exit')
    this.#child.stdin.end()
    await exit
  }

  #ask(line, key) {
    this.#child.stdin.write(`${line}\n`)
    return this.#message(key)
  }

  async #message(key) {
    for (;;) {
      const { value, done } = await this.#messages.next()
      check(!done, `${this.label} ended before it sent '${key}'`)
      if (!value.startsWith('{')) continue // what a library prints
      const message = JSON.parse(value)
      check(key in message, `${this.label} sent ${value} instead of '${key}'`)
      return message
    }
  }
}
