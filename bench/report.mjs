/** Results as lines for a terminal and as Markdown tables. */

/** Cases with a limit that a row went over. */
export function brokenLimits(results) {
  return results.filter(({ limit, rows }) =>
    rows.some(({ what, max }) => limit?.what === what && max > limit.ms),
  )
}

/** The goals of all cases. */
export function goalsOf(results) {
  return results.flatMap(({ goals = [] }) => goals)
}

/** Whether a goal was reached. */
export function met({ ratio, atLeast, atMost }) {
  return atMost === undefined ? ratio >= atLeast : ratio <= atMost
}

/** Models that were run beside the libraries that define them, see kinds/families.mjs. */
export function familiesOf(results) {
  return results.flatMap(({ family }) => family ?? [])
}

/** A row for each program and model: times, memory, and how many times the library's they are. */
export function familyTable(families) {
  const header = ['model', 'program', 'load', 'first call', 'picture', '20 words', '100 prompts']
  return table(
    [...header, 'peak memory', 'least cosine'],
    families.flatMap(({ model, table: [theirs, ...ours] }) =>
      [theirs, ...ours].map((program, i) => {
        const cell = (key, amount) =>
          program[key] === undefined
            ? '–'
            : amount(program[key]) + (i > 0 ? ` (${(theirs[key] / program[key]).toFixed(2)})` : '')
        const time = key => cell(key, AMOUNTS.ms)
        return [
          i === 0 ? model : '',
          program.label,
          ...['load', 'first', 'image', 'dense', 'text'].map(time),
          cell('peak', AMOUNTS.bytes),
          i === 0 ? '' : program.agreement.toFixed(5),
        ]
      }),
    ),
  )
}

/** A few lines about one case. */
export function lines(result) {
  const head = `${result.name}  (${result.device}, ${result.dtype}, ${result.threads} threads, peak ${megabytes(result.peakRss)} MB)`
  const rows = result.rows.map(
    ({ what, runs, median, p95, max }) =>
      `  ${what.padEnd(28)} ${ms(median)} median ${ms(p95)} p95 ${ms(max)} max  n=${runs}`,
  )
  const notes = Object.entries(result.notes).map(([key, value]) => `  ${key}: ${note(key, value)}`)
  const over = brokenLimits([result]).map(({ limit }) => `  OVER THE LIMIT of ${limit.ms} ms`)
  const skipped = (result.skipped ?? []).map(reason => `  skipped: ${reason}`)
  const goals = (result.goals ?? []).map(
    goal =>
      `  ${met(goal) ? 'goal met' : 'GOAL MISSED'}: ${goalCells(goal).slice(0, 6).join(', ')}`,
  )
  return [head, ...rows, ...notes, ...over, ...skipped, ...goals].join('\n')
}

/** A row for each goal: what was done, by whom, and whether the ratio was reached. */
export function goalTable(goals) {
  return table(
    ['work', 'measured', 'ours', 'against', 'ratio', 'goal', 'met'],
    goals.map(goal => [...goalCells(goal), met(goal) ? 'yes' : 'no']),
  )
}

function goalCells({ work, measure, program, against, unit, ours, theirs, ratio, ...goal }) {
  const amount = (name, value) => (value === undefined ? name : `${name} ${AMOUNTS[unit](value)}`)
  const [sign, bound] = goal.atMost === undefined ? ['>=', goal.atLeast] : ['<=', goal.atMost]
  return [
    work,
    measure,
    amount(program, ours),
    amount(against, theirs),
    ratioText(ratio, bound, goal),
    `${sign} ${ratioText(bound, bound, goal)}`,
  ]
}

const AMOUNTS = {
  ms: value => `${ms(value).trim()} ms`,
  bytes: value => `${megabytes(value)} MB`,
}

/** Shares in percent, exponents and small ratios with two digits, large ratios with few. */
function ratioText(ratio, bound, { digits }) {
  if (bound < 1 && digits === undefined) return `${(100 * ratio).toFixed(2)} %`
  return ratio >= 20 ? ratio.toFixed(0) : ratio.toFixed(2)
}

/** What the runs had in common, the goals, then a row per measured quantity; times in milliseconds. */
export function markdown({ machine, date, results }) {
  const common = Object.entries({ date, ...machine }).map(([key, value]) => `- ${key}: ${value}`)
  const goals = goalsOf(results)
  const header = [
    'case',
    'measured',
    'n',
    'median ms',
    'p95 ms',
    'max ms',
    'peak RSS MB',
    'dtype',
    'threads',
    'notes',
  ]
  const body = results.flatMap(result =>
    result.rows.map(({ what, runs, median, p95, max }, i) => [
      i === 0 ? result.name : '',
      what,
      runs,
      ms(median),
      ms(p95),
      ms(max),
      ...(i === 0
        ? [
            megabytes(result.peakRss),
            result.dtype,
            result.threads,
            Object.entries(result.notes)
              .map(([key, value]) => `${key} ${note(key, value)}`)
              .concat(result.skipped ?? [])
              .join('; '),
          ]
        : ['', '', '', '']),
    ]),
  )
  const families = familiesOf(results)
  const parts = [
    common.join('\n'),
    goals.length > 0 && goalTable(goals),
    families.length > 0 && familyTable(families),
    table(header, body),
  ]
  return `${parts.filter(Boolean).join('\n\n')}\n`
}

function table(header, body) {
  return [header, header.map(() => '---'), ...body]
    .map(cells => `| ${cells.map(cell => String(cell).trim()).join(' | ')} |`)
    .join('\n')
}

function ms(value) {
  return value.toFixed(value < 100 ? 2 : 0).padStart(9)
}

function megabytes(bytes) {
  return (bytes / 1e6).toFixed(0)
}

function note(key, value) {
  if (Array.isArray(value)) return `${value.map(megabytes).join(' ')} MB`
  if (typeof value === 'string') return value
  return /^peak/.test(key) ? `${megabytes(value)} MB` : `${Number(value.toPrecision(4))}`
}
