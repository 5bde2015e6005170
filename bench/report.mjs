/** Results as lines for a terminal and as a Markdown table. */

/** Cases with a limit that a row went over. */
export function brokenLimits(results) {
  return results.filter(({ limit, rows }) =>
    rows.some(({ what, max }) => limit?.what === what && max > limit.ms),
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
  return [head, ...rows, ...notes, ...over].join('\n')
}

/** What the runs had in common, then a row per measured quantity; times in milliseconds. */
export function markdown({ machine, date, results }) {
  const common = Object.entries({ date, ...machine }).map(([key, value]) => `- ${key}: ${value}`)
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
              .join('; '),
          ]
        : ['', '', '', '']),
    ]),
  )
  const table = [header, header.map(() => '---'), ...body].map(
    cells => `| ${cells.map(cell => String(cell).trim()).join(' | ')} |`,
  )
  return `${common.join('\n')}\n\n${table.join('\n')}\n`
}

function ms(value) {
  return value.toFixed(value < 100 ? 2 : 0).padStart(9)
}

function megabytes(bytes) {
  return (bytes / 1e6).toFixed(0)
}

function note(key, value) {
  if (Array.isArray(value)) return `${value.map(megabytes).join(' ')} MB`
  return /^peak/.test(key)
    ? `${megabytes(value)} MB`
    : `${Number(value?.toPrecision?.(4) ?? value)}`
}
