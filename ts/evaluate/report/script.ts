/** The page's only script: clicks on column heads sort tables. Without it everything is there, in label order. */
export const SCRIPT = `'use strict'
for (const table of document.querySelectorAll('table[data-sortable]')) {
  const body = table.tBodies[0]
  const heads = [...table.tHead.rows[0].cells]
  heads.forEach((head, column) => {
    const numeric = head.classList.contains('n')
    head.querySelector('button').addEventListener('click', () => {
      const before = head.getAttribute('aria-sort')
      const down = before ? before === 'ascending' : numeric
      for (const other of heads) other.removeAttribute('aria-sort')
      head.setAttribute('aria-sort', down ? 'descending' : 'ascending')
      const value = row => row.cells[column].dataset.v
      const compare = (a, b) => numeric ? a - b : a.localeCompare(b, 'en', { numeric: true })
      body.append(...[...body.rows].sort((a, b) => {
        const x = value(a), y = value(b)
        if (x === '' || y === '') return (x === '') - (y === '')
        return down ? compare(y, x) : compare(x, y)
      }))
    })
  })
}
`
