/** Texts in many scripts, the same for the same seed: to train vocabularies on and to compare tokenizers with. */

/** Letters of a script's words: ranges of code points, and how its words are written. */
const SCRIPTS = {
  latin: { letters: ['az', 'az', 'az'], capitals: true },
  accents: { letters: ['az', 'àÿ', 'āſ'], capitals: true },
  greek: { letters: ['αω', 'αω', 'άώ'], capitals: true },
  cyrillic: { letters: ['аё'], capitals: true },
  arabic: { letters: ['اي', 'ًْ'] },
  hebrew: { letters: ['את', 'ְֹ'] },
  devanagari: { letters: ['अह', 'ािंॎ', 'क्'] },
  thai: { letters: ['กฮ', 'ะู', 'เ๎'], joined: true },
  chinese: { letters: ['一龠'], joined: true, short: true },
  japanese: { letters: ['ぁん', 'ァヶ', '一龠'], joined: true },
  korean: { letters: ['가힣'], short: true },
}

const PIECES = {
  emoji: ['😀', '🐈', '👩‍🚀', '🏳️‍🌈', '👍🏽', '🇩🇪', '1️⃣', '❤️', '🫠', '☃'],
  marks: ['é', 'Å', 'ṩ', 'i̇', 'İ', 'ﬁ', 'ﬀ', 'Å', '①', '½', '㎏', '㌔', 'ǆ', 'ﷺ', 'ẛ̣', '각'],
  final: ['ΟΔΟΣ', 'Σ', 'ΣΑΣ ΣΑΣ.', "ΟΔΟΣ'", 'ΑΣ1', 'Σ́Σ'],
  mojibake: ['Ã©', 'â€™', 'naÃ¯ve', 'Ð¿Ñ€Ð¸', 'schÃ¶n', 'â€œcatâ€\u009d', 'Â½'],
  html: [
    '&amp;',
    '&amp;amp;',
    '&lt;b&gt;',
    '<b>',
    '&eacute;',
    '&#233;',
    '&#x1F408;',
    '&notit;',
    '&#0;',
    '</div>',
  ],
  control: [
    '\t',
    '\n',
    '\r\n',
    '\u0000',
    '\u0001',
    '\u001c',
    '\u007f',
    '\u0085',
    '\u00a0',
    '\u200b',
    '\u200d',
    '\u2028',
    '\ufeff',
    '\u3000',
    '\ufffd',
    '\u00ad',
    '\u202e',
  ],
  special: [
    '</s>',
    '<s>',
    '<unk>',
    '<pad>',
    '<bos>',
    '<eos>',
    '<mask>',
    '▁',
    '▁▁',
    '\n\n',
    '<0x41>',
    '</S>',
    '<start_of_text>',
    '＜s＞',
    '  ',
    '   ',
  ],
  marksOf: [
    "it's",
    'traffic_light',
    'a.b',
    '(c)',
    '“quoted”',
    '‘x’',
    'e.g.',
    '100%',
    '3,14',
    '#tag',
    '@name',
    'http://a.b/c?d=e',
    '…',
    '—',
    '¿qué?',
    '「」',
    '、',
    '。',
  ],
}

const TEMPLATES = [
  'a photo of a {}',
  'This is {}.',
  '{} in the scene',
  '{}',
  'A {}, close up',
  'itap of {}!',
]

/** A generator of numbers 0..n-1 (Park and Miller's). */
export function randomBelow(seed) {
  let state = (seed % 2147483646) + 1
  return n => {
    state = (state * 48271) % 2147483647
    return state % n
  }
}

/** Words per script: those of all seeds are the same, the rarer the later. */
const WORDS = 1500
const words = new Map()

function wordsOf(script) {
  if (words.has(script)) return words.get(script)
  const below = randomBelow(1 + Object.keys(SCRIPTS).indexOf(script))
  const { letters, short } = SCRIPTS[script]
  const letter = i => {
    const range = [...letters[i % letters.length]]
    const [from, to] = [range[0].codePointAt(0), range.at(-1).codePointAt(0)]
    return String.fromCodePoint(from + below(to - from + 1))
  }
  const list = Array.from({ length: WORDS }, () =>
    Array.from({ length: 1 + below(short ? 3 : 9) }, (_, i) => letter(below(3) === 0 ? i : 0)).join(
      '',
    ),
  )
  words.set(script, list)
  return list
}

function wordOf(script, below) {
  const list = wordsOf(script)
  const rank = Math.floor(list.length ** (below(10000) / 10000)) - 1 // most are among the first
  const word = list[rank]
  if (!SCRIPTS[script].capitals) return word
  const style = below(12)
  if (style === 0) return word.toUpperCase()
  return style < 3 ? word[0].toUpperCase() + word.slice(1) : word
}

function sentence(below, script) {
  const { joined } = SCRIPTS[script]
  const count = below(20) === 0 ? 60 : 1 + below(9)
  return Array.from({ length: count }, () => wordOf(script, below)).join(joined ? '' : ' ')
}

/** What is compared: sentences, prompts, and every kind of oddity among words of some script. */
export function texts(count, seed) {
  const below = randomBelow(seed)
  const scripts = Object.keys(SCRIPTS)
  const kinds = Object.values(PIECES)
  const one = list => list[below(list.length)]
  return Array.from({ length: count }, (_, i) => {
    const script = scripts[i % scripts.length]
    const plain = sentence(below, script)
    const odd = () => one(one(kinds))
    switch (below(6)) {
      case 0:
        return one(TEMPLATES).replace('{}', () => plain)
      case 1:
        return `${plain}${odd()}${sentence(below, one(scripts))}`
      case 2:
        return `${odd()} ${plain} ${odd()}`
      case 3:
        return Array.from({ length: 1 + below(5) }, () =>
          below(2) ? odd() : sentence(below, one(scripts)),
        ).join(one(['', ' ', '  ', '_']))
      default:
        return plain
    }
  })
}

/** Lines to train a vocabulary with: plain sentences of all scripts. */
export function trainingLines(count, seed) {
  const below = randomBelow(seed)
  const scripts = Object.keys(SCRIPTS)
  return Array.from({ length: count }, (_, i) => {
    const line = sentence(below, scripts[i % scripts.length])
    return below(2) ? line.toLowerCase() : `a photo of ${line}`
  })
}
