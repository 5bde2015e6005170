import t from 'tap'
import { escaped, html, Markup } from '../../../../ts/evaluate/report/html.js'

t.test('whatever is put in is escaped, markup is not', async t => {
  const name = `<img src=x onerror="alert('1')">&`
  t.equal(
    html`<b title="${name}">${[name, html`<i>${1}</i>`]}</b>`.text,
    '<b title="&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt;&amp;">' +
      '&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt;&amp;<i>1</i></b>',
  )
  t.equal(html`${undefined}${false}${0}${''}${new Markup('<br>')}`.text, '0<br>')
})

t.test('what would break a page or turn its text around becomes a space', async t => {
  t.equal(escaped('a\u0000b\ud800c\u202ed\ufffee\nf'), 'a b c d e f')
  t.equal(escaped('Gebäude 猫 🐈 قط'), 'Gebäude 猫 🐈 قط')
})
