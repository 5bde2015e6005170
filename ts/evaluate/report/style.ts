/** How the page looks: on light and dark screens and on paper. */
export const STYLE = `
:root { color-scheme: light dark; --ground: #f6f7f9; --card: #ffffff; --ink: #1b1f24; --faint: #5b6470; --line: #dde2e8; --accent: #0d6e6c; --second: #be3a0c; --track: #e8ebef; }
@media (prefers-color-scheme: dark) { :root { --ground: #0f1317; --card: #181d23; --ink: #e8ebef; --faint: #9aa5b1; --line: #2c343d; --accent: #4fc3bd; --second: #f0895c; --track: #29313a; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main, header, footer { max-width: 1180px; margin: 0 auto; padding: 0 24px; }
header { padding-top: 36px; }
h1 { margin: 0; font-size: 30px; line-height: 1.2; letter-spacing: -0.01em; overflow-wrap: anywhere; }
header p { margin: 6px 0 0; color: var(--faint); overflow-wrap: anywhere; }
h2 { margin: 0 0 14px; font-size: 19px; }
section { margin: 22px 0; padding: 22px 24px; background: var(--card); border: 1px solid var(--line); border-radius: 12px; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(210px, 1fr)); gap: 14px; margin: 22px 0; }
.card { padding: 18px 22px; background: var(--card); border: 1px solid var(--line); border-radius: 12px; }
.card:first-child { border-top: 4px solid var(--accent); padding-top: 15px; }
.card dt { font-weight: 600; }
.card dd { margin: 0; }
.card p { margin: 4px 0 0; color: var(--faint); font-size: 13px; line-height: 1.35; }
.big { font-size: 40px; line-height: 1.15; font-weight: 650; letter-spacing: -0.02em; font-variant-numeric: tabular-nums; }
.unit { margin-left: 4px; color: var(--faint); font-size: 20px; }
.scroll { overflow: auto; }
.tall { max-height: 560px; }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { padding: 0 0 10px; color: var(--faint); text-align: left; font-size: 13px; }
th, td { padding: 5px 12px 5px 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: baseline; }
thead th { position: sticky; top: 0; z-index: 1; background: var(--card); color: var(--faint); font-size: 13px; font-weight: 600; white-space: nowrap; }
tbody th { font-weight: 500; max-width: 320px; overflow-wrap: anywhere; }
.n { text-align: right; white-space: nowrap; }
th.n + th:not(.n), td.n + td:not(.n) { padding-left: 18px; }
td:last-child, th:last-child { padding-right: 2px; }
thead button { padding: 0; border: 0; background: none; color: inherit; font: inherit; cursor: pointer; }
thead button:hover { color: var(--ink); }
thead button::after { content: " \\2195"; opacity: 0.45; }
[aria-sort=ascending] button::after { content: " \\2191"; opacity: 1; }
[aria-sort=descending] button::after { content: " \\2193"; opacity: 1; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 3px; }
.bar { width: 90px; height: 8px; margin-right: 10px; border-radius: 4px; vertical-align: 1px; }
.v { display: inline-block; min-width: 3.7em; }
.track { fill: var(--track); }
.fill { fill: var(--accent); }
.axis { stroke: var(--line); }
.values td { overflow-wrap: anywhere; }
code { font: 13px/1.45 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
.notes { margin: 12px 0 0; padding: 0; list-style: none; color: var(--faint); font-size: 13px; }
.warning { margin: 22px 0; padding: 12px 18px; border: 1px solid var(--second); border-left-width: 5px; border-radius: 8px; background: var(--card); }
figure { margin: 0; }
.matrix { margin-bottom: 22px; }
.matrix img { display: block; max-width: 100%; height: auto; margin: 0 auto; border-radius: 8px; background: #fff; }
figcaption { color: var(--faint); font-size: 13px; }
.matrix figcaption { margin-top: 8px; text-align: center; }
.figures { display: grid; gap: 26px; }
.figures figcaption { display: flex; flex-wrap: wrap; gap: 4px 14px; margin-bottom: 8px; font-size: 14px; }
.id { color: var(--ink); font-weight: 600; overflow-wrap: anywhere; }
.reason { flex-basis: 100%; overflow-wrap: anywhere; }
.layers { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 10px; }
.layer img { display: block; width: 100%; height: auto; max-height: 420px; object-fit: contain; border-radius: 8px; background: var(--track); }
.layer span { display: block; margin-top: 3px; color: var(--faint); font-size: 12px; text-align: center; }
.chips, .ids { display: flex; flex-wrap: wrap; gap: 4px 16px; margin: 8px 0 0; padding: 0; list-style: none; font-size: 13px; }
.chips svg { width: 12px; height: 12px; margin-right: 6px; vertical-align: -1px; }
.hint { margin: 0 0 16px; color: var(--faint); font-size: 13px; }
.clear { fill: none; stroke: var(--faint); stroke-dasharray: 2 1.5; }
.histogram { margin-bottom: 24px; }
.histogram p { margin: 0 0 8px; color: var(--faint); font-size: 13px; }
.histogram svg { display: block; width: 100%; max-width: 640px; }
svg text { fill: var(--faint); font-size: 12px; }
.chart { width: 100%; max-width: 440px; }
.grid { stroke: var(--line); }
.line { fill: none; stroke-width: 2; stroke: var(--accent); }
.l1 { stroke: var(--second); } .l2 { stroke: #8250df; } .l3 { stroke: #bf8700; }
.two { display: grid; grid-template-columns: repeat(auto-fit, minmax(380px, 1fr)); gap: 24px; }
footer { padding-top: 4px; padding-bottom: 40px; color: var(--faint); font-size: 13px; }
@media (max-width: 640px) { main, header, footer { padding-left: 12px; padding-right: 12px; } section { padding: 16px 14px; } .layers { grid-template-columns: 1fr; } .two { grid-template-columns: minmax(0, 1fr); } .bar { display: none; } }
@media print {
  :root { color-scheme: light; --ground: #fff; --card: #fff; --ink: #000; --faint: #444; --line: #ccc; --accent: #0d6e6c; --track: #eee; }
  body { font-size: 11px; }
  main, header, footer { max-width: none; padding: 0; }
  section { padding: 10px 0; border: 0; border-top: 1px solid var(--line); border-radius: 0; }
  .card, .warning, figure, tr { break-inside: avoid; }
  h2 { break-after: avoid; }
  .tall { max-height: none; overflow: visible; }
  thead th { position: static; }
  thead button::after { content: ""; }
  .cards { grid-template-columns: repeat(3, 1fr); }
  * { print-color-adjust: exact; }
}
`
