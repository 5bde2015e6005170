/** A page that asks nothing of the network: what may run and be drawn stands in its policy, by hash. */
import { createHash } from 'node:crypto'
import { type Content, html, Markup } from './html.js'
import { SCRIPT } from './script.js'
import { STYLE } from './style.js'

const hash = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`

/** The whole file. */
export function page(title: string, subtitle: Content, sections: Content, footer: Content): string {
  const policy = [
    "default-src 'none'",
    'img-src data:',
    `style-src ${hash(STYLE)}`,
    `script-src ${hash(SCRIPT)}`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ')
  const body = html`<body>
<header><h1>${title}</h1><p>${subtitle}</p></header>
<main>
${sections}
</main>
<footer>${footer}</footer>
<script>${new Markup(SCRIPT)}</script>
</body>`
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
${html`<meta http-equiv="Content-Security-Policy" content="${policy}">`}
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
${html`<title>${title}</title>`}
<style>${STYLE}</style>
</head>
${body}
</html>
`
}
