/** Markup whose texts are escaped unless they are markup themselves. */

/** Text that goes into a page as it is. */
export class Markup {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }

  toString(): string {
    return this.text
  }
}

/** What may stand in {@link html}; undefined and false are nothing. */
export type Content = string | number | undefined | false | Markup | readonly Content[]

/**
 * A piece of a page: whatever is put in between is escaped, for elements and for quoted attributes alike. Class names
 * and pictures' names come from data sets, which anybody may have written.
 */
export function html(strings: TemplateStringsArray, ...contents: Content[]): Markup {
  const parts = strings.map((text, i) => (i < contents.length ? text + render(contents[i]) : text))
  return new Markup(parts.join(''))
}

function render(content: Content): string {
  if (content === undefined || content === false) return ''
  if (content instanceof Markup) return content.text
  if (typeof content === 'object') return content.map(render).join('')
  return escaped(String(content))
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/**
 * Escaped for HTML. Control characters, lone surrogates and the marks that turn the direction of the text after them
 * become spaces.
 */
export function escaped(text: string): string {
  return text
    .replace(/[\p{Cc}\p{Cs}\u200e\u200f\u202a-\u202e\u2066-\u2069\ufffe\uffff]/gu, ' ')
    .replace(/[&<>"']/g, character => ENTITIES[character] as string)
}
